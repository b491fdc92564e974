# Cluster, stores, database: what must not slip.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  # Its ids are known when planning: to apply and destroy takes several times as long.
  mock_resource "google_compute_network" {
    override_during = plan
    defaults        = {}
  }
  mock_resource "google_service_account" {
    override_during = plan
    defaults        = { email = "someone@example-project.iam.gserviceaccount.com" }
  }
}

variables {
  project = "example-project"
}

run "unless_told" {
  command = plan

  # Buckets.
  assert {
    condition = alltrue([for bucket in [google_storage_bucket.assets, google_storage_bucket.scratch, google_storage_bucket.uploads] :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access && bucket.location == var.region
    ])
    error_message = "A bucket could be made public, has rights by object, or is in another region."
  }
  assert {
    condition     = google_storage_bucket.scratch.soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "Soft delete would keep and bill every intermediate object for a week."
  }
  assert {
    condition = (
      length(google_storage_bucket.scratch.lifecycle_rule) == 1
      && one(google_storage_bucket.scratch.lifecycle_rule[0].condition).age == 1
      && one(google_storage_bucket.scratch.lifecycle_rule[0].action).type == "Delete"
    )
    error_message = "What a run leaves behind in scratch has to go after a day."
  }
  assert {
    condition     = alltrue([for bucket in [google_storage_bucket.assets, google_storage_bucket.uploads] : length(bucket.lifecycle_rule) == 0 && !coalesce(bucket.force_destroy, false)])
    error_message = "Assets and uploads stay until an operator removes them."
  }

  assert {
    condition     = alltrue([for bucket in [google_storage_bucket.assets, google_storage_bucket.scratch, google_storage_bucket.uploads] : length(bucket.cors) == 0])
    error_message = "Scripts of other sites reach a bucket."
  }
  assert {
    condition     = google_project_service.this["iamcredentials.googleapis.com"].service == "iamcredentials.googleapis.com"
    error_message = "Addresses of assets are signed by an API that is not enabled."
  }

  # What is measured, and who is notified.
  assert {
    condition     = length(google_monitoring_dashboard.this) == 3 && !anytrue([for board in google_monitoring_dashboard.this : can(regex("@[a-z_]+@", board.dashboard_json))])
    error_message = "A dashboard is missing, or has a blank that was not filled in."
  }
  assert {
    condition = alltrue([for id, alert in google_monitoring_alert_policy.this :
      alert.documentation[0].content == file("${path.module}/runbook/${id}.md")
      && !can(regex("@[a-z_]+@", alert.conditions[0].condition_prometheus_query_language[0].query))
      && alert.conditions[0].condition_prometheus_query_language[0].disable_metric_validation
    ]) && length(google_monitoring_alert_policy.this) == 9
    error_message = "An alert does not say what to do, has a blank, or waits for what was never measured."
  }

  # Nodes.
  assert {
    condition = (
      google_container_node_pool.this["spot"].node_config[0].spot
      && !google_container_node_pool.this["spot"].node_config[0].preemptible
      && google_container_node_pool.this["spot"].autoscaling[0].location_policy == "ANY"
      && google_container_node_pool.this["spot"].autoscaling[0].total_min_node_count == 0
    )
    error_message = "The work is done on Spot nodes, wherever there are some, from none on."
  }
  assert {
    condition     = [for taint in google_container_node_pool.this["spot"].node_config[0].taint : "${taint.key}=${taint.value}:${taint.effect}"] == ["trackchain.dev/spot=true:NO_SCHEDULE"]
    error_message = "Without its taint anything may end up on nodes that vanish."
  }
  assert {
    condition = (
      !google_container_node_pool.this["on-demand"].node_config[0].spot
      && !google_container_node_pool.this["on-demand"].node_config[0].preemptible
      && length(google_container_node_pool.this["on-demand"].node_config[0].taint) == 0
      && google_container_node_pool.this["on-demand"].autoscaling[0].total_min_node_count >= 1
    )
    error_message = "The fallback must be nodes that stay, one at least, open to all."
  }
  assert {
    condition     = alltrue([for name, pool in google_container_node_pool.this : pool.node_config[0].labels["trackchain.dev/pool"] == name])
    error_message = "k8s/ chooses pools by the label trackchain.dev/pool."
  }

  # Cluster.
  assert {
    condition = (
      google_container_cluster.this.private_cluster_config[0].enable_private_nodes
      && alltrue([for pool in google_container_node_pool.this : pool.network_config[0].enable_private_nodes])
      && google_compute_subnetwork.nodes.private_ip_google_access
    )
    error_message = "Nodes have public addresses, or private ones that do not reach Google."
  }
  assert {
    condition     = length(google_container_cluster.this.master_authorized_networks_config) == 1 && length(google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks) == 0
    error_message = "The control plane's address is open."
  }
  assert {
    condition     = google_container_cluster.this.workload_identity_config[0].workload_pool == "example-project.svc.id.goog" && alltrue([for pool in google_container_node_pool.this : pool.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA"])
    error_message = "Pods have the node's identity instead of their own."
  }
  assert {
    condition = google_container_cluster.this.enable_shielded_nodes && alltrue([for pool in google_container_node_pool.this :
      pool.node_config[0].shielded_instance_config[0].enable_secure_boot
      && pool.node_config[0].shielded_instance_config[0].enable_integrity_monitoring
      && pool.node_config[0].service_account == google_service_account.nodes.email
      && pool.management[0].auto_repair
      && pool.management[0].auto_upgrade
    ])
    error_message = "Nodes are not shielded, run as the project's default account, or are neither repaired nor upgraded."
  }
  assert {
    condition     = google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "Without Dataplane V2 nothing enforces NetworkPolicies."
  }
  assert {
    condition     = google_container_cluster.this.release_channel[0].channel == "REGULAR" && google_container_cluster.this.remove_default_node_pool && google_container_cluster.this.deletion_protection
    error_message = "The cluster is in no release channel, keeps its default pool, or can be destroyed by mistake."
  }
  assert {
    condition     = length(google_compute_router_nat.nat) == 0
    error_message = "Nodes reach the internet although `nat` does not ask for it."
  }

  # Database.
  assert {
    condition = (
      !google_sql_database_instance.this[0].settings[0].ip_configuration[0].ipv4_enabled
      && google_sql_database_instance.this[0].settings[0].ip_configuration[0].private_network == google_compute_network.this.id
      && google_sql_database_instance.this[0].settings[0].connector_enforcement == "REQUIRED"
      && google_sql_database_instance.this[0].settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    )
    error_message = "The database has a public address, or lets in who does not come by the proxy."
  }
  assert {
    condition     = [for flag in google_sql_database_instance.this[0].settings[0].database_flags : flag.value if flag.name == "cloudsql.iam_authentication"] == ["on"] && alltrue([for user in google_sql_user.service : user.type == "CLOUD_IAM_SERVICE_ACCOUNT" && user.password == null])
    error_message = "There is a password to the database."
  }
  assert {
    condition     = google_sql_database_instance.this[0].deletion_protection && google_sql_database_instance.this[0].settings[0].backup_configuration[0].enabled
    error_message = "The database has no backups, or can be destroyed by mistake."
  }
  assert {
    condition     = output.database_dsn.ingest == "postgresql://someone%40example-project.iam@127.0.0.1:5432/trackchain?options=-c%20role%3Dcloudsqlsuperuser"
    error_message = "The connection string is another than what the proxy and PostgreSQL expect."
  }
}

run "by_choice" {
  command = plan

  variables {
    preemptible     = true
    database_secret = "trackchain-dsn"
    nat             = true
    domain          = "trackchain.example.com"
  }
  assert {
    condition     = google_container_node_pool.this["spot"].node_config[0].preemptible && !google_container_node_pool.this["spot"].node_config[0].spot && length(google_container_node_pool.this["spot"].node_config[0].taint) == 1
    error_message = "Pre-emptible nodes replace Spot ones, and keep the taint."
  }
  assert {
    condition     = length(google_sql_database_instance.this) + length(google_sql_user.service) + length(google_project_iam_member.database) + length(google_service_networking_connection.database) == 0
    error_message = "With a database of your own none is made."
  }
  assert {
    condition     = output.database_dsn == null && strcontains(output.next.give_the_database, "gcloud secrets versions access latest --secret=trackchain-dsn") && length(google_compute_router_nat.nat) == 1
    error_message = "The way to a database of your own is not declared, or closed."
  }
  assert {
    condition     = google_compute_global_address.door[0].name == "trackchain" && google_compute_managed_ssl_certificate.door[0].name == "trackchain" && google_compute_managed_ssl_certificate.door[0].managed[0].domains == tolist(["trackchain.example.com"])
    error_message = "k8s/overlays/gke asks for an address and a certificate named trackchain."
  }
}

run "a_catalogue_of_millions" {
  command = plan
  variables {
    database = { tracks = 8500000 }
  }
  assert {
    condition     = google_sql_database_instance.this[0].settings[0].disk_size == 78 && google_sql_database_instance.this[0].settings[0].tier == "db-custom-8-30720"
    error_message = "The database does not grow with the number of tracks."
  }
}

run "a_database_as_it_is_asked_for" {
  command = plan
  variables {
    database = { tracks = 8500000, tier = "db-custom-2-7680", disk_gb = 30 }
  }
  assert {
    condition     = google_sql_database_instance.this[0].settings[0].disk_size == 30 && google_sql_database_instance.this[0].settings[0].tier == "db-custom-2-7680"
    error_message = "The tier and the disk that are given do not count."
  }
}

run "other_sites" {
  command = plan
  variables {
    cors_origins = ["https://label.example", "http://localhost:3000"]
  }
  assert {
    condition = (
      [for rule in google_storage_bucket.assets.cors : [rule.origin, rule.method]] == [[var.cors_origins, tolist(["GET", "HEAD"])]]
      && [for rule in google_storage_bucket.uploads.cors : [rule.origin, rule.method]] == [[var.cors_origins, tolist(["PUT"])]]
      && length(google_storage_bucket.scratch.cors) == 0
    )
    error_message = "Pages of the origins send masters and read assets, and nothing else."
  }
  assert {
    condition     = jsondecode(output.config.TRACKCHAIN_CORS_ORIGINS) == ["https://label.example", "http://localhost:3000"]
    error_message = "The API and the buckets let in other origins."
  }
}
