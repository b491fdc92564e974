locals {
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "this" {
  for_each = local.topics
  name     = each.value
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_project_service.this]
}

# No filter (it acknowledges silently what it does not match), no ordering, no exactly-once delivery: see DESIGN.md.
resource "google_pubsub_subscription" "this" {
  for_each                     = local.subscriptions
  name                         = each.key
  topic                        = google_pubsub_topic.this[each.key].id
  ack_deadline_seconds         = each.value.ackDeadlineSeconds
  message_retention_duration   = "${each.value.retentionSeconds}s"
  retain_acked_messages        = false
  enable_exactly_once_delivery = false
  enable_message_ordering      = false

  # Never expires, however long it is not pulled; by default it is removed with its backlog after 31 days.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "${each.value.minBackoffSeconds}s"
    maximum_backoff = "${each.value.maxBackoffSeconds}s"
  }

  dynamic "dead_letter_policy" {
    for_each = try([each.value.maxDeliveryAttempts], [])
    content {
      dead_letter_topic     = google_pubsub_topic.this[local.topology.deadLetterTopic].id
      max_delivery_attempts = dead_letter_policy.value
    }
  }
}

# Pub/Sub itself moves a message to the dead letters: it publishes there, and acknowledges here. Without either grant
# attempts are not even counted, and a message that kills its consumer is delivered for ever.
resource "google_pubsub_topic_iam_member" "dead_letter" {
  topic  = google_pubsub_topic.this[local.topology.deadLetterTopic].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letter" {
  for_each     = { for name, spec in local.subscriptions : name => spec if can(spec.maxDeliveryAttempts) }
  subscription = google_pubsub_subscription.this[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
