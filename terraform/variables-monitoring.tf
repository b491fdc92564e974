variable "notification_channels" {
  description = "Who is notified when an alert is red: names of notification channels (projects/…/notificationChannels/…). None: alerts are only shown."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "notification_channels must be full names: projects/PROJECT/notificationChannels/ID."
  }
}

variable "scratch_alert_gib" {
  description = "The size of scratch, GiB, above which an alert is red. What runs do not remove themselves stays for a day."
  type        = number
  default     = 500
}

variable "core_dollars" {
  description = "What a core and its memory cost for an hour, in dollars: for the cost of 1,000 tracks in the dashboard. The default is what `trackchain costs` takes for Spot."
  type        = number
  default     = 0.0134
}
