variable "project" {
  description = "ID of the Google Cloud project. One deployment a project: the topics' names are fixed."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project ID: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of the cluster, the buckets, the database and the images: one for all, or every read of a master is egress."
  type        = string
  default     = "europe-west1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone."
  }
}

variable "name" {
  description = "Name of the cluster, network, database and image repository, and prefix of the service accounts. k8s/ takes it to be trackchain."
  type        = string
  default     = "trackchain"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,16}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 18 lower-case letters, digits and hyphens: a service account's ID has 30 at most."
  }
}

variable "labels" {
  description = "Labels of everything that can have labels."
  type        = map(string)
  default     = { app = "trackchain" }
}

variable "deletion_protection" {
  description = "Whether cluster and database refuse to be destroyed. Set it to false, apply, and only then destroy."
  type        = bool
  default     = true
}

variable "routes" {
  description = <<-EOT
    All routes, the default one first: a job goes to the route that its `site` names, else to the first whose prefixes hold its master, or whose template can be filled in, else to the first.
    templates: where masters are when a job does not say, with {asset_guid}, {asset_id}, {release_id}. prefixes: what a job's master_uri may point into. core_slowdown: how much slower than the reference core the site is. site: the on-prem cluster (a key of `sites`) that works on the route; null: GKE.
  EOT
  type = list(object({
    name          = string
    templates     = optional(list(string), [])
    prefixes      = optional(list(string), [])
    core_slowdown = optional(number, 1)
    site          = optional(string)
  }))
  default = [{ name = "cloud" }]
  validation {
    condition     = length(var.routes) > 0 && length(distinct(var.routes[*].name)) == length(var.routes)
    error_message = "routes must have at least one route, and each name only once."
  }
  validation {
    condition     = alltrue([for route in var.routes : can(regex(local.topology.routePattern, route.name))])
    error_message = "A route's name must match ${local.topology.routePattern}: it becomes the suffix of topics."
  }
  validation {
    condition = alltrue(flatten([for route in var.routes : concat(
      [for uri in route.templates : can(regex("^(gs://[^{}/]+/|file:///[^{}/]+/)", uri))],
      [for uri in route.prefixes : can(regex("^(gs|file)://", uri))],
    )]))
    error_message = "A route's templates and prefixes must be gs://bucket/… or file:///folder/…, bucket and folder without placeholders."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.core_slowdown >= 0.1 && route.core_slowdown <= 20])
    error_message = "A route's core_slowdown must be from 0.1 to 20."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.site == null || contains(keys(var.sites), coalesce(route.site, "-"))])
    error_message = "A route's site must be a key of sites."
  }
  validation {
    condition     = alltrue(flatten([for route in var.routes : [for uri in concat(route.templates, route.prefixes) : startswith(uri, "gs://")] if route.site == null]))
    error_message = "Masters of a route without a site must be in buckets: pods on GKE have no file system of yours."
  }
}

variable "sites" {
  description = <<-EOT
    On-prem clusters, by name. issuer: the `issuer` of the cluster's /.well-known/openid-configuration. jwks: what `kubectl get --raw /openid/v1/jwks` prints, where Google cannot reach the issuer. namespace: where its services run.
  EOT
  type = map(object({
    issuer    = string
    jwks      = optional(string)
    namespace = optional(string, "trackchain")
  }))
  default = {}
  validation {
    condition     = alltrue([for site in keys(var.sites) : can(regex("^[a-z][a-z0-9-]{2,30}[a-z0-9]$", site)) && !startswith(site, "gcp-")])
    error_message = "A site's name must be 4 to 32 lower-case letters, digits and hyphens, and not begin with gcp-: it names an identity pool."
  }
  validation {
    condition     = alltrue([for site in values(var.sites) : startswith(site.issuer, "https://")])
    error_message = "A site's issuer must begin with https://, also where its keys are uploaded."
  }
  validation {
    condition     = alltrue([for site in values(var.sites) : site.jwks == null || can(jsondecode(site.jwks).keys[0].kid)])
    error_message = "A site's jwks must be a JSON Web Key Set: {\"keys\": [{\"kid\": …}]}."
  }
}

variable "producers" {
  description = "Members (user:…, group:…, serviceAccount:…) that may publish EncodeJobs to the topic ingest."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.producers : can(regex("^(user|group|serviceAccount|principal|principalSet):", member))])
    error_message = "A producer must be user:…, group:…, serviceAccount:… or principal(Set):…, never allUsers."
  }
}

variable "consumers" {
  description = "Members that may read what the subscriptions published and callbacks hold: one message for each job and run that has ended, and for each release that is complete."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.consumers : can(regex("^(user|group|serviceAccount|principal|principalSet):", member))])
    error_message = "A consumer must be user:…, group:…, serviceAccount:… or principal(Set):…, never allUsers."
  }
}

variable "operators" {
  description = "Members that may look at dead letters (the service publish takes and keeps them), publish jobs to ingest, and look at all topics and subscriptions."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount|principal|principalSet):", member))])
    error_message = "An operator must be user:…, group:…, serviceAccount:… or principal(Set):…, never allUsers."
  }
}

variable "domain" {
  description = "Host name of the HTTP API, e.g. trackchain.example.com: gets an address and a certificate. null: neither."
  type        = string
  default     = null
  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain must be a host name such as trackchain.example.com."
  }
}

variable "cors_origins" {
  description = "Origins of web pages of yours and of partners that use the API from a browser, e.g. https://label.example: the buckets let their scripts upload masters and read signed addresses. [\"*\"]: all pages. They become TRACKCHAIN_CORS_ORIGINS of the outputs."
  type        = list(string)
  default     = []
  validation {
    condition     = var.cors_origins == tolist(["*"]) || alltrue([for origin in var.cors_origins : can(regex("^https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$", origin))])
    error_message = "cors_origins must be origins as browsers write them: https://label.example, in lower case, with nothing behind name and port. Or [\"*\"] alone."
  }
}

variable "events_in_bigquery" {
  description = "Whether every event also goes to a BigQuery table, for questions that the database is not made for."
  type        = bool
  default     = false
}

variable "events_days" {
  description = "How long that table keeps an event, days."
  type        = number
  default     = 400
  validation {
    condition     = var.events_days >= 1 && floor(var.events_days) == var.events_days
    error_message = "events_days must be a whole number of days, 1 at least."
  }
}
