# Optional: each message of `events`, as it is, in BigQuery; and a view with a row for each event.
locals {
  events = var.events_in_bigquery ? { this = local.subscriptions["events"] } : {}
}

resource "google_bigquery_dataset" "events" {
  for_each   = local.events
  dataset_id = replace(var.name, "-", "_")
  location   = var.region
  depends_on = [google_project_service.this]
}

resource "google_bigquery_table" "events" {
  for_each            = local.events
  dataset_id          = google_bigquery_dataset.events[each.key].dataset_id
  table_id            = "event_messages"
  deletion_protection = var.deletion_protection
  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = var.events_days * 86400000
  }
  # What Pub/Sub writes when it uses no schema but adds a message's metadata.
  schema = jsonencode([
    { name = "data", type = "JSON", mode = "NULLABLE" },
    { name = "subscription_name", type = "STRING", mode = "NULLABLE" },
    { name = "message_id", type = "STRING", mode = "NULLABLE" },
    { name = "publish_time", type = "TIMESTAMP", mode = "NULLABLE" },
    { name = "attributes", type = "JSON", mode = "NULLABLE" },
  ])
}

# Deliveries are at least once: of events with the same id one counts.
resource "google_bigquery_table" "events_view" {
  for_each            = local.events
  dataset_id          = google_bigquery_dataset.events[each.key].dataset_id
  table_id            = "events"
  deletion_protection = false
  view {
    use_legacy_sql = false
    query          = <<-SQL
      SELECT
        JSON_VALUE(event, '$.id') AS id,
        TIMESTAMP(JSON_VALUE(event, '$.at')) AS at,
        JSON_VALUE(event, '$.step') AS step,
        JSON_VALUE(event, '$.verdict') AS verdict,
        JSON_VALUE(event, '$.code') AS code,
        JSON_VALUE(event, '$.job') AS job,
        JSON_VALUE(event, '$.track') AS track,
        JSON_VALUE(event, '$.route') AS route,
        INT64(event.run) AS run,
        INT64(event.attempt) AS attempt,
        FLOAT64(event.ms) AS ms,
        event,
        publish_time
      FROM `${var.project}.${google_bigquery_dataset.events[each.key].dataset_id}.${google_bigquery_table.events[each.key].table_id}`,
        UNNEST(JSON_QUERY_ARRAY(data, '$.events')) AS event
      WHERE TRUE
      QUALIFY ROW_NUMBER() OVER (PARTITION BY JSON_VALUE(event, '$.id') ORDER BY publish_time) = 1
    SQL
  }
}

resource "google_bigquery_table_iam_member" "events" {
  for_each   = local.events
  dataset_id = google_bigquery_dataset.events[each.key].dataset_id
  table_id   = google_bigquery_table.events[each.key].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

resource "google_pubsub_subscription" "events_bigquery" {
  for_each                   = local.events
  name                       = "events-bigquery"
  topic                      = google_pubsub_topic.this["events"].id
  ack_deadline_seconds       = each.value.ackDeadlineSeconds
  message_retention_duration = "${each.value.retentionSeconds}s"
  expiration_policy {
    ttl = ""
  }
  retry_policy {
    minimum_backoff = "${each.value.minBackoffSeconds}s"
    maximum_backoff = "${each.value.maxBackoffSeconds}s"
  }
  bigquery_config {
    table          = "${var.project}.${google_bigquery_dataset.events[each.key].dataset_id}.${google_bigquery_table.events[each.key].table_id}"
    write_metadata = true
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.this[local.topology.deadLetterTopic].id
    max_delivery_attempts = each.value.maxDeliveryAttempts
  }
  # Pub/Sub looks whether it may write when the subscription is made.
  depends_on = [google_bigquery_table_iam_member.events]
}

resource "google_pubsub_subscription_iam_member" "events_bigquery" {
  for_each     = local.events
  subscription = google_pubsub_subscription.events_bigquery[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
