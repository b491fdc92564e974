# Topics, subscriptions and dead letters are those of the code, for several routes.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  # Its ids are known when planning: to apply and destroy takes several times as long.
  mock_resource "google_pubsub_topic" {
    override_during = plan
    defaults        = {}
  }
}

variables {
  project = "example-project"
  routes = [
    { name = "cloud" },
    { name = "cloud-urgent" },
    { name = "onprem-a", site = "onprem-a", prefixes = ["file:///mnt/masters/"] },
  ]
  sites = { onprem-a = { issuer = "https://issuer.example.com" } }
}

run "topology" {
  command = plan

  assert {
    condition     = jsonencode(var.routes[*].name) == jsonencode(jsondecode(file("${path.module}/tests/topology.json")).routes)
    error_message = "This test compares with topology.json of other routes."
  }
  assert {
    condition     = toset(keys(google_pubsub_topic.this)) == toset(jsondecode(file("${path.module}/tests/topology.json")).topics)
    error_message = "The topics are not those of shared/contracts/topology.ts."
  }
  assert {
    condition     = alltrue([for name, topic in google_pubsub_topic.this : topic.name == name && join(",", topic.message_storage_policy[0].allowed_persistence_regions) == var.region])
    error_message = "A topic has another name than the code's, or keeps messages outside the region."
  }
  assert {
    condition     = toset(keys(google_pubsub_subscription.this)) == toset(jsondecode(file("${path.module}/tests/topology.json")).subscriptions[*].name)
    error_message = "The subscriptions are not those of shared/contracts/topology.ts."
  }
  assert {
    condition = alltrue([for spec in jsondecode(file("${path.module}/tests/topology.json")).subscriptions : try(
      google_pubsub_subscription.this[spec.name].name == spec.name
      && google_pubsub_subscription.this[spec.name].topic == google_pubsub_topic.this[spec.topic].id
      && google_pubsub_subscription.this[spec.name].ack_deadline_seconds == spec.ackDeadlineSeconds
      && google_pubsub_subscription.this[spec.name].message_retention_duration == "${spec.retentionSeconds}s"
      && google_pubsub_subscription.this[spec.name].retry_policy[0].minimum_backoff == "${spec.minBackoffSeconds}s"
      && google_pubsub_subscription.this[spec.name].retry_policy[0].maximum_backoff == "${spec.maxBackoffSeconds}s"
      && [for policy in google_pubsub_subscription.this[spec.name].dead_letter_policy : policy.max_delivery_attempts] == try([spec.maxDeliveryAttempts], [])
      , false)
    ])
    error_message = "A subscription's topic, lease, retention, back-off or number of attempts is not that of shared/contracts/topology.ts."
  }
  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.this : subscription.expiration_policy[0].ttl == ""])
    error_message = "A subscription expires when it is not pulled for a month."
  }
  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.this : subscription.filter == null && !subscription.enable_message_ordering && !subscription.enable_exactly_once_delivery])
    error_message = "A subscription has a filter, ordering or exactly-once delivery: the chain uses none."
  }
  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.this : subscription.message_retention_duration == "2678400s"])
    error_message = "Backlog and dead letters are kept for 31 days."
  }

  # Dead letters.
  assert {
    condition = alltrue([for name, subscription in google_pubsub_subscription.this :
      length(subscription.dead_letter_policy) == 1 && try(subscription.dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.this["dead-letter"].id, false)
      if !contains(["published", "callbacks", "dead-letter"], name)
    ])
    error_message = "A topic that the chain consumes has no dead letters."
  }
  assert {
    condition     = try(google_pubsub_subscription.this["dead-letter"].topic == google_pubsub_topic.this["dead-letter"].id, false)
    error_message = "Without a subscription the dead-letter topic loses what is published to it."
  }
  assert {
    condition = (
      google_pubsub_topic_iam_member.dead_letter.topic == "dead-letter"
      && google_pubsub_topic_iam_member.dead_letter.role == "roles/pubsub.publisher"
      && google_pubsub_topic_iam_member.dead_letter.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    )
    error_message = "Pub/Sub itself may not publish to the dead-letter topic: nothing would ever be dead-lettered."
  }
  assert {
    condition = alltrue([for name, subscription in google_pubsub_subscription.this :
      length(subscription.dead_letter_policy) == 0 || try(
        google_pubsub_subscription_iam_member.dead_letter[name].subscription == name
        && google_pubsub_subscription_iam_member.dead_letter[name].role == "roles/pubsub.subscriber"
        && google_pubsub_subscription_iam_member.dead_letter[name].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
      , false)
    ])
    error_message = "Pub/Sub itself may not acknowledge on a subscription with dead letters: nothing of it would ever be dead-lettered."
  }
  assert {
    condition     = length(google_pubsub_subscription.events_bigquery) == 0 && length(google_bigquery_dataset.events) == 0
    error_message = "BigQuery is on request only."
  }
}

run "events_in_bigquery" {
  command = plan

  variables {
    events_in_bigquery = true
  }
  assert {
    condition = (
      google_pubsub_subscription.events_bigquery["this"].topic == google_pubsub_topic.this["events"].id
      && google_pubsub_subscription.events_bigquery["this"].filter == null
      && google_pubsub_subscription.events_bigquery["this"].expiration_policy[0].ttl == ""
      && google_pubsub_subscription.events_bigquery["this"].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.this["dead-letter"].id
      && google_pubsub_subscription_iam_member.events_bigquery["this"].subscription == "events-bigquery"
      && google_pubsub_subscription_iam_member.events_bigquery["this"].role == "roles/pubsub.subscriber"
    )
    error_message = "The BigQuery subscription needs the same care as the others."
  }
  assert {
    condition = (
      google_bigquery_table_iam_member.events["this"].role == "roles/bigquery.dataEditor"
      && google_bigquery_table_iam_member.events["this"].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
      && google_pubsub_subscription.events_bigquery["this"].bigquery_config[0].table == "example-project.trackchain.event_messages"
    )
    error_message = "Pub/Sub may not write to the events' table."
  }
}
