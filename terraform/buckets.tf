locals {
  bucket_names = { for bucket in ["assets", "scratch", "uploads"] : bucket => "${var.project}-${var.name}-${bucket}" }

  # The buckets that masters of a route are read from, by route. They are yours, and only referred to.
  masters_of = {
    for route in var.routes : route.name => distinct([
      for uri in concat(route.templates, route.prefixes) : regex("^gs://([^/]+)", uri)[0] if startswith(uri, "gs://")
    ])
  }
  masters = toset(flatten(values(local.masters_of)))

  # One rule for all origins, or none.
  cors_rules = length(var.cors_origins) > 0 ? ["origins"] : []
}

# Finished assets. Objects are created once and never written again.
resource "google_storage_bucket" "assets" {
  name                        = local.bucket_names.assets
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # An object that is removed by mistake can be restored for a week.
  soft_delete_policy {
    retention_duration_seconds = 604800
  }
  # Scripts of other sites read signed addresses. Elements such as audio need no rule.
  dynamic "cors" {
    for_each = local.cors_rules
    content {
      origin          = var.cors_origins
      method          = ["GET", "HEAD"]
      response_header = ["Content-Type", "Content-Length", "Content-Disposition", "Content-Range", "Accept-Ranges", "ETag", "Range", "If-None-Match", "If-Range"]
      max_age_seconds = 7200
    }
  }
  depends_on = [google_project_service.this]
}

# Masters that came through the API.
resource "google_storage_bucket" "uploads" {
  name                        = local.bucket_names.uploads
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  soft_delete_policy {
    retention_duration_seconds = 604800
  }
  # Pages of other sites send masters here, by the sessions that ingest opens for them.
  dynamic "cors" {
    for_each = local.cors_rules
    content {
      origin          = var.cors_origins
      method          = ["PUT"]
      response_header = ["Content-Type", "Content-Range", "Range"]
      max_age_seconds = 7200
    }
  }
  depends_on = [google_project_service.this]
}

# Intermediate objects, which a run removes when it is over; the lifecycle is the net. Soft delete would keep, and bill,
# each of them for a week: four times what all else about scratch costs.
resource "google_storage_bucket" "scratch" {
  name                        = local.bucket_names.scratch
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  soft_delete_policy {
    retention_duration_seconds = 0
  }
  lifecycle_rule {
    condition {
      age = 1
    }
    action {
      type = "Delete"
    }
  }
  depends_on = [google_project_service.this]
}

data "google_storage_bucket" "masters" {
  for_each = local.masters
  name     = each.value
}

check "masters_are_near" {
  assert {
    condition = alltrue([for bucket in data.google_storage_bucket.masters :
      lower(bucket.location) == var.region || contains(["eu", "us", "asia"], lower(bucket.location))
    ])
    error_message = "A masters bucket is in another region than ${var.region}: every read of a master is egress."
  }
}
