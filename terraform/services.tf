locals {
  services = setunion(
    [
      "artifactregistry.googleapis.com",
      "compute.googleapis.com",
      "container.googleapis.com",
      "iam.googleapis.com",
      "iamcredentials.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "storage.googleapis.com",
      "sts.googleapis.com",
    ],
    var.database_secret == null ? ["sqladmin.googleapis.com", "servicenetworking.googleapis.com"] : ["secretmanager.googleapis.com"],
    var.events_in_bigquery ? ["bigquery.googleapis.com"] : [],
  )
}

# They stay when this is destroyed: others may use them, and turning one off takes its data along.
resource "google_project_service" "this" {
  for_each           = local.services
  service            = each.value
  disable_on_destroy = false
}

data "google_project" "this" {
  project_id = var.project
}
