# What each service does, and so may do. Topics and subscriptions by their names without a route and a lane: a service has
# those of all lanes, and of the routes that it works on. Buckets: `reads` sees what is there; `creates` adds what is absent, and can neither
# overwrite nor remove; `works` does as it likes.
locals {
  letters = local.topology.deadLetterTopic

  rights = {
    ingest = {
      routed    = false
      consumes  = ["ingest"]
      publishes = ["stage", "ingest", "events", local.letters]
      reads     = ["assets"]
      creates   = ["uploads"]
      works     = []
    }
    stage = {
      routed    = true
      consumes  = ["stage"]
      publishes = ["stage", "analyze", "encode", "publish", "ingest", "events", local.letters]
      reads     = ["masters", "uploads", "assets"]
      creates   = []
      works     = ["scratch"]
    }
    analyze = {
      routed    = true
      consumes  = ["analyze"]
      publishes = ["analyze", "encode", "publish", "ingest", "events", local.letters]
      reads     = ["masters", "uploads"]
      creates   = ["assets"]
      works     = ["scratch"]
    }
    encode = {
      routed    = true
      consumes  = ["encode"]
      publishes = ["encode", "publish", "ingest", "events", local.letters]
      reads     = ["masters", "uploads"]
      creates   = ["assets"]
      works     = ["scratch"]
    }
    # Reads the manifests of campaigns, and releases jobs that wait.
    publish = {
      routed    = false
      consumes  = ["publish", "events", local.letters]
      publishes = ["stage", "published", "callbacks", "ingest", "events", local.letters]
      reads     = ["masters", "uploads"]
      creates   = []
      works     = []
    }
    # Looks at a master's head, to know what its pod will need.
    dispatch = {
      routed    = true
      consumes  = ["stage"]
      publishes = ["publish", "ingest", "events", local.letters]
      reads     = ["masters", "uploads"]
      creates   = []
      works     = ["scratch"]
    }
    # What the dispatcher mints: a pod that takes one track through every step up to publish.
    track = {
      routed    = true
      consumes  = []
      publishes = ["publish", "ingest", "events", local.letters]
      reads     = ["masters", "uploads"]
      creates   = ["assets"]
      works     = ["scratch"]
    }
  }

  gke_routes = [for route in var.routes : route.name if route.site == null]

  # Who works: each service on GKE, and each service that works on a site's routes.
  workers = merge(
    {
      for service, rights in local.rights : service => {
        member  = google_service_account.service[service].member
        rights  = rights
        routes  = rights.routed ? local.gke_routes : local.route_names
        buckets = ["assets", "scratch", "uploads"]
      }
    },
    {
      for pair in setproduct(keys(var.sites), [for service, rights in local.rights : service if rights.routed]) : join("/", pair) => {
        member = "${local.site_principals[pair[0]]}/subject/system:serviceaccount:${var.sites[pair[0]].namespace}:${pair[1]}"
        rights = local.rights[pair[1]]
        routes = [for route in var.routes : route.name if route.site == pair[0]]
        # Its scratch and its uploads are its own: only results cross.
        buckets = ["assets"]
      }
    },
  )
}
