locals {
  # By hand, because jsonencode sorts keys, and the first route is the default.
  routes_json = format("{%s}", join(",", [
    for route in var.routes : "${jsonencode(route.name)}:${jsonencode({ templates = route.templates, prefixes = route.prefixes, core_slowdown = route.core_slowdown })}"
  ]))
}

output "config" {
  description = "Settings (TRACKCHAIN_…) of all services on GKE: k8s/overlays/gke/settings.env. TRACKCHAIN_ROUTE comes on top, for each route."
  value = {
    TRACKCHAIN_PROJECT = var.project
    TRACKCHAIN_ASSETS  = "gs://${google_storage_bucket.assets.name}/"
    TRACKCHAIN_SCRATCH = "gs://${google_storage_bucket.scratch.name}/"
    TRACKCHAIN_UPLOADS = "gs://${google_storage_bucket.uploads.name}/"
    TRACKCHAIN_ROUTES  = local.routes_json
    # The Service of k8s/base/ingest.yaml, asked for what was cancelled.
    TRACKCHAIN_INGEST = "http://ingest"
    # As the buckets have them.
    TRACKCHAIN_CORS_ORIGINS = jsonencode(var.cors_origins)
  }
}

output "site_config" {
  description = "The same for each on-prem cluster. TRACKCHAIN_SCRATCH and TRACKCHAIN_UPLOADS are folders of its own (file:///…)."
  value = {
    for site in keys(var.sites) : site => {
      TRACKCHAIN_PROJECT = var.project
      TRACKCHAIN_ASSETS  = "gs://${google_storage_bucket.assets.name}/"
      TRACKCHAIN_ROUTES  = local.routes_json
      # Asked for what was cancelled; empty: it is not asked.
      TRACKCHAIN_INGEST = var.domain == null ? "" : "https://${var.domain}"
    }
  }
}

output "site_credentials" {
  description = "For each on-prem cluster the file that GOOGLE_APPLICATION_CREDENTIALS names. No secret: it says where a pod's own token is, and who exchanges it."
  value = {
    for site, pool in local.site_pools : site => jsonencode({
      type               = "external_account"
      audience           = "//iam.googleapis.com/${pool}/providers/${google_iam_workload_identity_pool_provider.site[site].workload_identity_pool_provider_id}"
      subject_token_type = "urn:ietf:params:oauth:token-type:jwt"
      token_url          = "https://sts.googleapis.com/v1/token"
      credential_source  = { file = "/var/run/secrets/trackchain/token", format = { type = "text" } }
    })
  }
}

output "site_token_audience" {
  description = "The audience of the token that the on-prem pods mount (a projected serviceAccountToken volume)."
  value       = { for site, pool in local.site_pools : site => "https://iam.googleapis.com/${pool}/providers/${google_iam_workload_identity_pool_provider.site[site].workload_identity_pool_provider_id}" }
}

output "database_dsn" {
  description = "TRACKCHAIN_DATABASE of ingest and publish, by the proxy in their pods. It holds no password. null: see database_secret."
  value = local.makes_database ? {
    for service, user in google_sql_user.service : service => "postgresql://${urlencode(user.name)}@127.0.0.1:5432/${google_sql_database.this[0].name}?options=-c%20role%3Dcloudsqlsuperuser"
  } : null
}

output "database_instance" {
  description = "What the proxy connects to. null: the database is not Cloud SQL."
  value       = local.makes_database ? google_sql_database_instance.this[0].connection_name : null
}

output "service_accounts" {
  description = "Whom each Kubernetes service account on GKE stands for (annotation iam.gke.io/gcp-service-account)."
  value       = { for service, account in google_service_account.service : service => account.email }
}

output "images" {
  description = "Where images are pushed to."
  value       = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "door" {
  description = "The address that the DNS name of the HTTP API must point to. null: there is no domain."
  value       = var.domain == null ? null : { domain = var.domain, address = google_compute_global_address.door[0].address }
}

output "next" {
  description = "Commands: reach the cluster, give it the database, try the chain."
  value = {
    reach_the_cluster = "gcloud container clusters get-credentials ${google_container_cluster.this.name} --location=${google_container_cluster.this.location} --project=${var.project} --dns-endpoint"
    give_the_database = (
      local.makes_database
      ? "kubectl create secret generic database --namespace=${var.namespace} ${join(" ", [for service in local.database_users : "--from-literal=${service}=\"$(terraform output -json database_dsn | jq -r .${service})\""])}"
      : "kubectl create secret generic database --namespace=${var.namespace} ${join(" ", [for service in local.database_users : "--from-literal=${service}=\"$(gcloud secrets versions access latest --secret=${coalesce(var.database_secret, "-")} --project=${var.project})\""])}"
    )
    push_images   = "gcloud auth configure-docker ${google_artifact_registry_repository.images.location}-docker.pkg.dev"
    ask_for_a_job = "gcloud pubsub topics publish ingest --project=${var.project} --message='{\"asset_guid\": \"GUID\", \"derivative_assets\": [\"bpm\"]}'"
    see_the_end   = "gcloud pubsub subscriptions pull published --project=${var.project} --limit=10 --format=json"
    see_letters   = "gcloud pubsub subscriptions pull ${local.letters} --project=${var.project} --limit=10 --format=json"
  }
}
