# On-prem clusters join without keys, each with its own routes and its own pool.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project = "example-project"
  routes = [
    { name = "cloud" },
    { name = "onprem-a", site = "onprem-a", prefixes = ["file:///mnt/masters/"], core_slowdown = 1.5 },
    { name = "onprem-b", site = "onprem-b", prefixes = ["file:///mnt/masters/"] },
  ]
  sites = {
    onprem-a = { issuer = "https://issuer.example.com" }
    onprem-b = { issuer = "https://kubernetes.default.svc.cluster.local", jwks = "{\"keys\":[{\"kid\":\"1\"}]}", namespace = "audio" }
  }
}

run "sites" {
  command = plan

  assert {
    condition     = length(distinct([for pool in google_iam_workload_identity_pool.site : pool.workload_identity_pool_id])) == 2
    error_message = "Two clusters share a pool: a pod of one would be taken for one of the other."
  }
  assert {
    condition = (
      google_iam_workload_identity_pool_provider.site["onprem-a"].oidc[0].issuer_uri == "https://issuer.example.com"
      && google_iam_workload_identity_pool_provider.site["onprem-a"].oidc[0].jwks_json == null
      && google_iam_workload_identity_pool_provider.site["onprem-b"].oidc[0].jwks_json == var.sites.onprem-b.jwks
    )
    error_message = "The keys of an issuer are found at the issuer, or uploaded where that is private."
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.site["onprem-b"].attribute_condition == "assertion.sub.startsWith('system:serviceaccount:audio:')" && google_iam_workload_identity_pool_provider.site["onprem-b"].attribute_mapping["google.subject"] == "assertion.sub"
    error_message = "Service accounts of other namespaces are let in."
  }
  assert {
    condition = alltrue([for site, json in output.site_credentials : (
      jsondecode(json).audience == "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/${site}/providers/kubernetes"
      && jsondecode(json).type == "external_account"
      && output.site_token_audience[site] == "https:${jsondecode(json).audience}"
    )])
    error_message = "The credentials of a site name another pool than its own."
  }

  assert {
    condition = alltrue([for key, grant in google_pubsub_topic_iam_member.service :
      contains(["publish", "ingest", "events", "dead-letter"], split(".", grant.topic)[0]) || endswith(split(".", grant.topic)[0], "-onprem-a")
      if startswith(key, "onprem-a/")
    ])
    error_message = "A site publishes to topics of other routes."
  }
  assert {
    condition = toset([for key, grant in google_pubsub_subscription_iam_member.service : key if startswith(key, "onprem-")]) == toset(flatten([
      for pair in setproduct(["onprem-a", "onprem-b"], ["", ".urgent", ".backfill"]) : [
        for each in ["stage < stage", "dispatch < stage", "analyze < analyze", "encode < encode"] : "${pair[0]}/${each}-${pair[0]}${pair[1]}"
      ]
    ]))
    error_message = "A site consumes other subscriptions than its own."
  }
  assert {
    condition     = !anytrue([for key, grant in google_pubsub_subscription_iam_member.service : strcontains(grant.subscription, "-onprem-") && !startswith(key, "onprem-")])
    error_message = "A service on GKE consumes a route of a site: its masters are not there."
  }
  assert {
    condition     = alltrue([for key, grant in google_storage_bucket_iam_member.service : grant.bucket == google_storage_bucket.assets.name if startswith(key, "onprem-")])
    error_message = "A site reaches other buckets than that of the assets."
  }
  assert {
    condition     = google_storage_bucket_iam_member.service["onprem-b/encode: objectCreator of example-project-trackchain-assets"].member == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/onprem-b/subject/system:serviceaccount:audio:encode"
    error_message = "A site's right went to another identity than its pod's."
  }
}
