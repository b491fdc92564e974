variable "namespace" {
  description = "Kubernetes namespace of the services on GKE. Each runs under the Kubernetes service account of its own name."
  type        = string
  default     = "trackchain"
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be a DNS label."
  }
}

variable "metrics_adapter" {
  description = "Namespace and Kubernetes service account of the adapter that reads Cloud Monitoring for the autoscalers."
  type        = object({ namespace = string, account = string })
  default     = { namespace = "custom-metrics", account = "custom-metrics-stackdriver-adapter" }
}

variable "location" {
  description = "Zone of the cluster, where one will do. null: the whole region, which finds Spot nodes more often."
  type        = string
  default     = null
  validation {
    condition     = var.location == null || can(regex("^${var.region}-[a-z]$", var.location))
    error_message = "location must be a zone of ${var.region}, or null."
  }
}

variable "release_channel" {
  description = "How soon GKE upgrades: RAPID, REGULAR, STABLE or EXTENDED."
  type        = string
  default     = "REGULAR"
  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE", "EXTENDED"], var.release_channel)
    error_message = "release_channel must be RAPID, REGULAR, STABLE or EXTENDED."
  }
}

variable "admin_cidrs" {
  description = "Networks that may reach the control plane's IP address. Its DNS name is open to those whom IAM admits, so none are needed."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for cidr in var.admin_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "admin_cidrs must be IPv4 networks such as 192.0.2.0/24, and not the whole internet."
  }
}

variable "preemptible" {
  description = "Pre-emptible nodes instead of Spot ones: the same price, gone after 24 h at the latest. Spot unless an organisation insists."
  type        = bool
  default     = false
}

variable "spot" {
  description = "The pool that can vanish, where the work is done. nodes: at least and at most, in all zones together."
  type = object({
    machine_type = optional(string, "n2d-standard-4")
    min_nodes    = optional(number, 0)
    max_nodes    = optional(number, 50)
    disk_gb      = optional(number, 50)
  })
  default = {}
  validation {
    condition     = var.spot.min_nodes >= 0 && var.spot.max_nodes >= max(1, var.spot.min_nodes) && var.spot.disk_gb >= 20
    error_message = "spot needs 0 <= min_nodes <= max_nodes, max_nodes of 1 at least, and disk_gb of 20 at least."
  }
}

variable "on_demand" {
  description = "The small pool that stays: the HTTP door, and the fallback while Spot is out of stock."
  type = object({
    machine_type = optional(string, "e2-standard-2")
    min_nodes    = optional(number, 1)
    max_nodes    = optional(number, 5)
    disk_gb      = optional(number, 50)
  })
  default = {}
  validation {
    condition     = var.on_demand.min_nodes >= 1 && var.on_demand.max_nodes >= var.on_demand.min_nodes && var.on_demand.disk_gb >= 20
    error_message = "on_demand needs 1 <= min_nodes <= max_nodes, and disk_gb of 20 at least."
  }
}

variable "ranges" {
  description = "Private IPv4 ranges that overlap neither each other nor networks that are peered: nodes, pods, services, the control plane (a /28)."
  type = object({
    nodes         = optional(string, "10.64.0.0/20")
    pods          = optional(string, "10.68.0.0/14")
    services      = optional(string, "10.64.16.0/20")
    control_plane = optional(string, "10.64.32.0/28")
  })
  default = {}
  validation {
    condition     = alltrue([for cidr in values(var.ranges) : can(cidrnetmask(cidr))]) && endswith(var.ranges.control_plane, "/28")
    error_message = "ranges must be IPv4 networks, control_plane a /28."
  }
}

variable "nat" {
  description = "Whether pods reach the internet beyond Google. Only a database outside Google needs it; it costs by the hour and the gigabyte."
  type        = bool
  default     = false
}

variable "database_secret" {
  description = "ID of a Secret Manager secret of this project that holds the connection string of your own PostgreSQL. null: a Cloud SQL instance is made."
  type        = string
  default     = null
  validation {
    condition     = var.database_secret == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.database_secret))
    error_message = "database_secret must be a secret's ID, not its full name or its content."
  }
}

variable "database" {
  description = "The Cloud SQL instance. tracks: how many the catalogue is to hold; tier and disk_gb follow from it where they are not given. version: POSTGRES_15 or newer. highly_available: a standby in a second zone, at twice the price."
  type = object({
    tracks           = optional(number, 500000)
    tier             = optional(string)
    version          = optional(string, "POSTGRES_17")
    disk_gb          = optional(number)
    highly_available = optional(bool, false)
    backups          = optional(number, 7)
  })
  default = {}
  validation {
    condition     = can(regex("^POSTGRES_(1[5-9]|[2-9][0-9])$", var.database.version))
    error_message = "database.version must be POSTGRES_15 or newer."
  }
  validation {
    condition     = coalesce(var.database.disk_gb, 10) >= 10 && var.database.backups >= 1 && var.database.tracks >= 0
    error_message = "database needs disk_gb of 10 at least, one backup at least, and no negative number of tracks."
  }
}
