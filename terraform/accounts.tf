resource "google_service_account" "service" {
  for_each     = local.rights
  account_id   = "${var.name}-${each.key}"
  display_name = "Trackchain: ${each.key}"
  depends_on   = [google_project_service.this]
}

# A pod of the Kubernetes service account of that name has this identity, without a key.
resource "google_service_account_iam_member" "service" {
  for_each           = local.rights
  service_account_id = google_service_account.service[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${google_container_cluster.this.workload_identity_config[0].workload_pool}[${var.namespace}/${each.key}]"
}

# ingest signs addresses of assets as itself, without a key: signBlob on its own account, and on no other.
resource "google_service_account_iam_member" "signer" {
  service_account_id = google_service_account.service["ingest"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.service["ingest"].member
}

resource "google_service_account" "nodes" {
  account_id   = "${var.name}-nodes"
  display_name = "Trackchain: the cluster's nodes"
  depends_on   = [google_project_service.this]
}

# Logs and metrics of the nodes.
resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

# The autoscalers' adapter reads backlog and age of subscriptions from Cloud Monitoring.
resource "google_project_iam_member" "metrics_adapter" {
  project = var.project
  role    = "roles/monitoring.viewer"
  member = join("", [
    "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/",
    google_container_cluster.this.workload_identity_config[0].workload_pool,
    "/subject/ns/${var.metrics_adapter.namespace}/sa/${var.metrics_adapter.account}",
  ])
}
