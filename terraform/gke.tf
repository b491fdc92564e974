resource "google_container_cluster" "this" {
  name                = var.name
  location            = coalesce(var.location, var.region)
  network             = google_compute_network.this.id
  subnetwork          = google_compute_subnetwork.nodes.id
  networking_mode     = "VPC_NATIVE"
  deletion_protection = var.deletion_protection

  # A cluster cannot be made without a pool. This one is gone again at once; ours are in node-pools.tf.
  initial_node_count       = 1
  remove_default_node_pool = true
  node_config {
    machine_type    = "e2-small"
    service_account = google_service_account.nodes.email
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }

  release_channel {
    channel = var.release_channel
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }
  enable_shielded_nodes = true
  enable_legacy_abac    = false
  # NetworkPolicies are enforced by Dataplane V2, and by nothing without it.
  datapath_provider = "ADVANCED_DATAPATH"

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = false
    master_ipv4_cidr_block  = var.ranges.control_plane
  }
  # kubectl goes by the control plane's DNS name, where IAM decides. Its IP address is closed to all but these.
  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }
  }
  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled = false
    dynamic "cidr_blocks" {
      for_each = var.admin_cidrs
      content {
        cidr_block = cidr_blocks.value
      }
    }
  }

  # The pools are ours and no others are made (enabled); nodes that are hardly used go sooner.
  cluster_autoscaling {
    enabled             = false
    autoscaling_profile = "OPTIMIZE_UTILIZATION"
  }
  addons_config {
    horizontal_pod_autoscaling {
      disabled = false
    }
    http_load_balancing {
      disabled = false
    }
  }
  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS"]
  }
  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = true
    }
  }
  cost_management_config {
    enabled = true
  }
  resource_labels = var.labels

  lifecycle {
    # Of the pool that was removed.
    ignore_changes = [initial_node_count, node_config]
  }
  depends_on = [google_project_service.this, google_project_iam_member.nodes]
}
