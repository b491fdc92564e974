locals {
  # k8s/overlays/gke prefers the first pool by its label and tolerates its taint; only the services do.
  pools = {
    spot = merge(var.spot, {
      spot        = !var.preemptible
      preemptible = var.preemptible
      taints      = [{ key = "trackchain.dev/spot", value = "true", effect = "NO_SCHEDULE" }]
      # Wherever there is some.
      location_policy = "ANY"
    })
    on-demand = merge(var.on_demand, {
      spot            = false
      preemptible     = false
      taints          = []
      location_policy = "BALANCED"
    })
  }
}

resource "google_container_node_pool" "this" {
  for_each = local.pools
  name     = each.key
  cluster  = google_container_cluster.this.id

  initial_node_count = each.value.min_nodes > 0 ? 1 : 0
  autoscaling {
    total_min_node_count = each.value.min_nodes
    total_max_node_count = each.value.max_nodes
    location_policy      = each.value.location_policy
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  network_config {
    enable_private_nodes = true
  }

  node_config {
    machine_type    = each.value.machine_type
    spot            = each.value.spot
    preemptible     = each.value.preemptible
    disk_type       = "pd-balanced"
    disk_size_gb    = each.value.disk_gb
    image_type      = "COS_CONTAINERD"
    service_account = google_service_account.nodes.email
    # What a node may do is its account's matter.
    oauth_scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    labels       = { "trackchain.dev/pool" = each.key }
    metadata     = { disable-legacy-endpoints = "true" }
    dynamic "taint" {
      for_each = each.value.taints
      content {
        key    = taint.value.key
        value  = taint.value.value
        effect = taint.value.effect
      }
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    # Pods get their own identity, and never the node's.
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    gvnic {
      enabled = true
    }
  }

  lifecycle {
    # The autoscaler's matter.
    ignore_changes = [initial_node_count]
  }
}
