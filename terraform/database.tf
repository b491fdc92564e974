# PostgreSQL by Cloud SQL; or your own, whose connection string is in a secret.
locals {
  makes_database = var.database_secret == null
  database_users = ["ingest", "publish"]
  # Measured (docs/tasks/deploy-gke.md): 5.2 kB a track, with the events of one pass; half as much again for the log and for what is vacuumed. The memory
  # holds the indexes that are written to.
  database_disk_gb = coalesce(var.database.disk_gb, max(20, 10 + ceil(var.database.tracks * 8 / 1000000)))
  database_tier = coalesce(
    var.database.tier,
    var.database.tracks <= 1000000 ? "db-custom-2-7680" : var.database.tracks <= 4000000 ? "db-custom-4-15360" : "db-custom-8-30720",
  )
}

data "google_secret_manager_secret" "database" {
  count     = local.makes_database ? 0 : 1
  secret_id = var.database_secret
}

resource "google_compute_global_address" "database" {
  count         = local.makes_database ? 1 : 0
  name          = "${var.name}-database"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "database" {
  count                   = local.makes_database ? 1 : 0
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database[0].name]
  # Google lets go of it some days after the instance; until then removing it fails.
  deletion_policy = "ABANDON"
}

resource "google_sql_database_instance" "this" {
  count               = local.makes_database ? 1 : 0
  name                = var.name
  region              = var.region
  database_version    = var.database.version
  deletion_protection = var.deletion_protection

  settings {
    tier                        = local.database_tier
    edition                     = "ENTERPRISE"
    availability_type           = var.database.highly_available ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = local.database_disk_gb
    disk_autoresize             = true
    deletion_protection_enabled = var.deletion_protection
    # Only through the proxy, which authenticates with IAM: there are no passwords.
    connector_enforcement = "REQUIRED"

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }
    database_flags {
      name  = "cloudsql.iam_authentication"
      value = "on"
    }
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      backup_retention_settings {
        retained_backups = var.database.backups
      }
    }
    insights_config {
      query_insights_enabled = true
    }
  }
  depends_on = [google_service_networking_connection.database]
}

resource "google_sql_database" "this" {
  count    = local.makes_database ? 1 : 0
  name     = "trackchain"
  instance = google_sql_database_instance.this[0].name
  # It goes with its instance; alone it can't, while a client is connected.
  deletion_policy = "ABANDON"
}

# Whichever comes first makes the tables. They belong to the role that both have, which the connection strings
# (outputs.tf) take on; else the other would be locked out.
resource "google_sql_user" "service" {
  for_each        = toset(local.makes_database ? local.database_users : [])
  instance        = google_sql_database_instance.this[0].name
  name            = trimsuffix(google_service_account.service[each.key].email, ".gserviceaccount.com")
  type            = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles  = ["cloudsqlsuperuser"]
  deletion_policy = "ABANDON"
}

resource "google_project_iam_member" "database" {
  for_each = {
    for pair in setproduct(local.makes_database ? local.database_users : [], ["roles/cloudsql.client", "roles/cloudsql.instanceUser"]) : join(" ", pair) => { service = pair[0], role = pair[1] }
  }
  project = var.project
  role    = each.value.role
  member  = google_service_account.service[each.value.service].member
  condition {
    title      = "the database of ${var.name} alone"
    expression = "resource.name == 'projects/${var.project}/instances/${google_sql_database_instance.this[0].name}' && resource.service == 'sqladmin.googleapis.com'"
  }
}
