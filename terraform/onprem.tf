# On-prem clusters join by their own OIDC issuer: their pods' tokens are exchanged for Google's, and no key exists.
# A pool for each: a subject is only a namespace and a name, and would be the same in every cluster.
resource "google_iam_workload_identity_pool" "site" {
  for_each                  = var.sites
  workload_identity_pool_id = each.key
  display_name              = each.key
  description               = "Kubernetes service accounts of the cluster ${each.key}"
  depends_on                = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "site" {
  for_each                           = var.sites
  workload_identity_pool_id          = google_iam_workload_identity_pool.site[each.key].workload_identity_pool_id
  workload_identity_pool_provider_id = "kubernetes"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition                = "assertion.sub.startsWith('system:serviceaccount:${each.value.namespace}:')"
  oidc {
    issuer_uri = each.value.issuer
    jwks_json  = each.value.jwks
  }
}

locals {
  site_pools      = { for site in keys(var.sites) : site => "projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${google_iam_workload_identity_pool.site[site].workload_identity_pool_id}" }
  site_principals = { for site, pool in local.site_pools : site => "principal://iam.googleapis.com/${pool}" }
}
