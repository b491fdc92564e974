# One grant for each thing that a service does, on that very topic, subscription or bucket.
locals {
  publishing = merge([
    for name, worker in local.workers : {
      for topic in flatten([
        for topic in worker.rights.publishes :
        [for pair in setproduct(distinct([for route in worker.routes : local.suffixes[topic].routes[route]]), local.suffixes[topic].lanes) : "${topic}${pair[0]}${pair[1]}"]
      ]) : "${name} > ${topic}" => { topic = topic, member = worker.member }
    } if length(worker.routes) > 0
  ]...)

  consuming = merge([
    for name, worker in local.workers : {
      for topic in flatten([
        for topic in worker.rights.consumes :
        [for pair in setproduct(distinct([for route in worker.routes : local.suffixes[topic].routes[route]]), local.suffixes[topic].lanes) : "${topic}${pair[0]}${pair[1]}"]
      ]) : "${name} < ${topic}" => { subscription = topic, member = worker.member }
    } if length(worker.routes) > 0
  ]...)

  # Without the right to list, Cloud Storage answers 403 instead of 404 for what is not there: a service that asks whether
  # an output exists needs objectViewer.
  bucket_roles = {
    reads   = ["roles/storage.objectViewer"]
    creates = ["roles/storage.objectViewer", "roles/storage.objectCreator"]
    works   = ["roles/storage.objectUser"]
  }

  storing = merge(flatten([
    for name, worker in local.workers : [
      for right, roles in local.bucket_roles : [
        for bucket in worker.rights[right] : {
          for pair in setproduct(
            bucket == "masters" ? distinct(flatten([for route in worker.routes : local.masters_of[route]])) : contains(worker.buckets, bucket) ? [local.bucket_names[bucket]] : [],
            roles,
          ) : "${name}: ${trimprefix(pair[1], "roles/storage.")} of ${pair[0]}" => { bucket = pair[0], role = pair[1], member = worker.member }
        }
      ]
    ] if length(worker.routes) > 0
  ])...)
}

resource "google_pubsub_topic_iam_member" "service" {
  for_each = local.publishing
  topic    = google_pubsub_topic.this[each.value.topic].name
  role     = "roles/pubsub.publisher"
  member   = each.value.member
}

resource "google_pubsub_subscription_iam_member" "service" {
  for_each     = local.consuming
  subscription = google_pubsub_subscription.this[each.value.subscription].name
  role         = "roles/pubsub.subscriber"
  member       = each.value.member
}

resource "google_storage_bucket_iam_member" "service" {
  for_each   = local.storing
  bucket     = each.value.bucket
  role       = each.value.role
  member     = each.value.member
  depends_on = [google_storage_bucket.assets, google_storage_bucket.scratch, google_storage_bucket.uploads]
}

# The world outside.
resource "google_pubsub_topic_iam_member" "producer" {
  for_each = toset(concat(var.producers, var.operators))
  topic    = google_pubsub_topic.this["ingest"].name
  role     = "roles/pubsub.publisher"
  member   = each.value
}

resource "google_pubsub_subscription_iam_member" "consumer" {
  for_each = {
    for pair in setproduct(["published", "callbacks"], var.consumers) : "${pair[0]} ${pair[1]}" => { name = pair[0], member = pair[1] }
  }
  subscription = google_pubsub_subscription.this[each.value.name].name
  role         = "roles/pubsub.subscriber"
  member       = each.value.member
}

resource "google_pubsub_subscription_iam_member" "operator" {
  for_each     = toset(var.operators)
  subscription = google_pubsub_subscription.this[local.letters].name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}

resource "google_project_iam_member" "operator" {
  for_each = toset(var.operators)
  project  = var.project
  role     = "roles/pubsub.viewer"
  member   = each.value
}
