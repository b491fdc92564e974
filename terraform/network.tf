resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.this]
}

resource "google_compute_subnetwork" "nodes" {
  name          = "${var.name}-nodes"
  network       = google_compute_network.this.id
  region        = var.region
  ip_cidr_range = var.ranges.nodes
  # Nodes have no public address, and reach Google's interfaces all the same.
  private_ip_google_access = true
  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.ranges.pods
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.ranges.services
  }
}

resource "google_compute_router" "nat" {
  count   = var.nat ? 1 : 0
  name    = "${var.name}-nat"
  network = google_compute_network.this.id
  region  = var.region
}

resource "google_compute_router_nat" "nat" {
  count                              = var.nat ? 1 : 0
  name                               = "${var.name}-nat"
  router                             = google_compute_router.nat[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# The HTTP door: the address for its name, and a certificate that Google renews once the name points there.
resource "google_compute_global_address" "door" {
  count      = var.domain == null ? 0 : 1
  name       = var.name
  depends_on = [google_project_service.this]
}

resource "google_compute_managed_ssl_certificate" "door" {
  count = var.domain == null ? 0 : 1
  name  = var.name
  managed {
    domains = [var.domain]
  }
  depends_on = [google_project_service.this]
}
