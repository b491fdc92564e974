# Each service may do what it does, and no more.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  # Its ids are known when planning: to apply and destroy takes several times as long.
  mock_resource "google_service_account" {
    override_during = plan
    defaults        = {}
  }
  mock_data "google_storage_bucket" {
    defaults = { location = "EUROPE-WEST1" }
  }
}

variables {
  project = "example-project"
  routes = [
    { name = "cloud", templates = ["gs://masters/{asset_guid}.wav"] },
    { name = "cloud-urgent", prefixes = ["gs://urgent-masters/"] },
    { name = "onprem-a", site = "onprem-a", prefixes = ["file:///mnt/masters/"] },
  ]
  sites     = { onprem-a = { issuer = "https://issuer.example.com" } }
  producers = ["serviceAccount:shop@example.iam.gserviceaccount.com"]
  consumers = ["serviceAccount:search@example.iam.gserviceaccount.com"]
  operators = ["group:audio@example.com"]
}

# A run takes seconds, most of them before its first assertion: hence one.
run "rights" {
  command = plan

  # Topics and subscriptions.
  assert {
    condition = toset([for key, grant in google_pubsub_topic_iam_member.service : key if startswith(key, "ingest > ")]) == toset(concat(
      [for pair in setproduct(["stage", "stage-cloud-urgent", "stage-onprem-a"], ["", ".urgent", ".backfill"]) : "ingest > ${join("", pair)}"],
      ["ingest > ingest", "ingest > events", "ingest > dead-letter"],
    ))
    error_message = "ingest publishes to the stage of every route and lane, to ingest (what is redriven), and to events and dead letters."
  }
  assert {
    condition = toset([for key, grant in google_pubsub_topic_iam_member.service : key if startswith(key, "publish > ")]) == toset(concat(
      [for pair in setproduct(["stage", "stage-cloud-urgent", "stage-onprem-a"], ["", ".urgent", ".backfill"]) : "publish > ${join("", pair)}"],
      ["publish > published", "publish > callbacks", "publish > ingest", "publish > events", "publish > dead-letter"],
    ))
    error_message = "publish releases jobs that wait to the stage of every route and lane, announces, publishes jobs again, and reports."
  }
  assert {
    condition = toset([for key, grant in google_pubsub_topic_iam_member.service : key if startswith(key, "encode > ")]) == toset(concat(
      [for pair in setproduct(["encode", "encode-cloud-urgent", "publish"], ["", ".urgent", ".backfill"]) : "encode > ${join("", pair)}"],
      ["encode > ingest", "encode > events", "encode > dead-letter"],
    ))
    error_message = "encode on GKE publishes to its own stage there, onwards, back to ingest, and to events and dead letters."
  }
  assert {
    condition = toset([for key, grant in google_pubsub_topic_iam_member.service : key if startswith(key, "dispatch > ") || startswith(key, "track > ")]) == toset([
      for pair in setproduct(["dispatch", "track"], ["publish", "publish.urgent", "publish.backfill", "ingest", "events", "dead-letter"]) : join(" > ", pair)
    ])
    error_message = "The dispatcher and its pods publish onwards, back to ingest, and to events and dead letters: to no stage."
  }
  assert {
    condition     = [for key, grant in google_pubsub_topic_iam_member.service : key if contains(["published", "callbacks"], grant.topic)] == ["publish > callbacks", "publish > published"]
    error_message = "Only publish announces."
  }
  assert {
    condition     = alltrue([for key, grant in google_pubsub_topic_iam_member.service : grant.role == "roles/pubsub.publisher" && endswith(key, "> ${grant.topic}")])
    error_message = "A service holds more on a topic than the right to publish."
  }
  assert {
    condition     = alltrue([for key, grant in google_pubsub_subscription_iam_member.service : grant.role == "roles/pubsub.subscriber" && endswith(key, "< ${grant.subscription}")])
    error_message = "A service holds more on a subscription than the right to consume."
  }
  assert {
    condition = toset([for grant in google_pubsub_subscription_iam_member.service : grant.subscription]) == setsubtract(
      keys(google_pubsub_subscription.this), ["published", "callbacks"]
    )
    error_message = "Each subscription of the chain has a service that may consume it, and no service takes what others wait for."
  }
  assert {
    condition     = toset([for key, grant in google_pubsub_subscription_iam_member.service : split(" ", key)[0] if grant.subscription == "stage"]) == toset(["stage", "dispatch"])
    error_message = "A route's stage is consumed by stage or by the dispatcher."
  }
  assert {
    condition     = alltrue([for key, grant in google_pubsub_topic_iam_member.service : grant.member == local.workers[split(" ", key)[0]].member])
    error_message = "A right went to another identity than the service's."
  }

  # Buckets.
  assert {
    condition = toset(keys(google_storage_bucket_iam_member.service)) == toset([
      "ingest: objectViewer of example-project-trackchain-assets",
      "ingest: objectViewer of example-project-trackchain-uploads",
      "ingest: objectCreator of example-project-trackchain-uploads",
      "stage: objectViewer of masters",
      "stage: objectViewer of urgent-masters",
      "stage: objectViewer of example-project-trackchain-uploads",
      "stage: objectViewer of example-project-trackchain-assets",
      "stage: objectUser of example-project-trackchain-scratch",
      "analyze: objectViewer of masters",
      "analyze: objectViewer of urgent-masters",
      "analyze: objectViewer of example-project-trackchain-uploads",
      "analyze: objectViewer of example-project-trackchain-assets",
      "analyze: objectCreator of example-project-trackchain-assets",
      "analyze: objectUser of example-project-trackchain-scratch",
      "encode: objectViewer of masters",
      "encode: objectViewer of urgent-masters",
      "encode: objectViewer of example-project-trackchain-uploads",
      "encode: objectViewer of example-project-trackchain-assets",
      "encode: objectCreator of example-project-trackchain-assets",
      "encode: objectUser of example-project-trackchain-scratch",
      "publish: objectViewer of masters",
      "publish: objectViewer of urgent-masters",
      "publish: objectViewer of example-project-trackchain-uploads",
      "dispatch: objectViewer of masters",
      "dispatch: objectViewer of urgent-masters",
      "dispatch: objectViewer of example-project-trackchain-uploads",
      "dispatch: objectUser of example-project-trackchain-scratch",
      "track: objectViewer of masters",
      "track: objectViewer of urgent-masters",
      "track: objectViewer of example-project-trackchain-uploads",
      "track: objectViewer of example-project-trackchain-assets",
      "track: objectCreator of example-project-trackchain-assets",
      "track: objectUser of example-project-trackchain-scratch",
      "onprem-a/stage: objectViewer of example-project-trackchain-assets",
      "onprem-a/analyze: objectViewer of example-project-trackchain-assets",
      "onprem-a/analyze: objectCreator of example-project-trackchain-assets",
      "onprem-a/encode: objectViewer of example-project-trackchain-assets",
      "onprem-a/encode: objectCreator of example-project-trackchain-assets",
      "onprem-a/track: objectViewer of example-project-trackchain-assets",
      "onprem-a/track: objectCreator of example-project-trackchain-assets",
    ])
    error_message = "The services' rights on buckets are others than these."
  }
  assert {
    condition = alltrue([for key, grant in google_storage_bucket_iam_member.service :
      key == "${split(":", key)[0]}: ${trimprefix(grant.role, "roles/storage.")} of ${grant.bucket}" && grant.member == local.workers[split(":", key)[0]].member
    ])
    error_message = "A right on a bucket is not what its name says."
  }
  assert {
    condition     = alltrue([for grant in google_storage_bucket_iam_member.service : grant.role != "roles/storage.objectUser" || grant.bucket == google_storage_bucket.scratch.name])
    error_message = "Objects may be removed in scratch only."
  }

  # Identities.
  assert {
    condition     = toset(keys(google_service_account.service)) == toset(["ingest", "stage", "analyze", "encode", "publish", "dispatch", "track"])
    error_message = "Each service has an account of its own."
  }
  assert {
    condition     = alltrue([for service, account in google_service_account.service : account.account_id == "trackchain-${service}"])
    error_message = "k8s/ takes the accounts to be called trackchain-SERVICE."
  }
  assert {
    condition = alltrue([for service, grant in google_service_account_iam_member.service :
      grant.role == "roles/iam.workloadIdentityUser"
      && grant.service_account_id == google_service_account.service[service].name
      && grant.member == "serviceAccount:example-project.svc.id.goog[trackchain/${service}]"
    ])
    error_message = "A Kubernetes service account stands for another service than that of its name."
  }
  assert {
    condition = (
      google_service_account_iam_member.signer.role == "roles/iam.serviceAccountTokenCreator"
      && google_service_account_iam_member.signer.service_account_id == google_service_account.service["ingest"].name
      && google_service_account_iam_member.signer.member == google_service_account.service["ingest"].member
    )
    error_message = "ingest signs addresses as itself, and as nobody else."
  }
  # All that is granted on the project: a role for a service here would be a right on every topic and bucket.
  assert {
    condition     = google_project_iam_member.nodes.role == "roles/container.defaultNodeServiceAccount" && google_project_iam_member.nodes.member == google_service_account.nodes.member
    error_message = "The nodes hold another role on the project than that of nodes."
  }
  assert {
    condition = (
      google_project_iam_member.metrics_adapter.role == "roles/monitoring.viewer"
      && google_project_iam_member.metrics_adapter.member == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/example-project.svc.id.goog/subject/ns/custom-metrics/sa/custom-metrics-stackdriver-adapter"
    )
    error_message = "The autoscalers' adapter may not read metrics."
  }
  assert {
    condition     = toset([for key, grant in google_project_iam_member.database : "${key} ${grant.role}"]) == toset([for pair in setproduct(["ingest", "publish"], ["roles/cloudsql.client", "roles/cloudsql.instanceUser"]) : "${join(" ", pair)} ${pair[1]}"])
    error_message = "Only ingest and publish reach the database, and may no more than log in."
  }
  assert {
    condition     = alltrue([for grant in google_project_iam_member.database : strcontains(grant.condition[0].expression, "projects/example-project/instances/trackchain")])
    error_message = "The right to log in is not limited to this instance."
  }
  assert {
    condition     = [for grant in google_project_iam_member.operator : "${grant.member} ${grant.role}"] == ["group:audio@example.com roles/pubsub.viewer"]
    error_message = "Operators hold another role on the project than to look at Pub/Sub."
  }

  # The world outside.
  assert {
    condition = (
      toset([for grant in google_pubsub_topic_iam_member.producer : "${grant.topic} ${grant.role} ${grant.member}"]) == toset([
        "ingest roles/pubsub.publisher serviceAccount:shop@example.iam.gserviceaccount.com",
        "ingest roles/pubsub.publisher group:audio@example.com",
      ])
      && toset([for grant in google_pubsub_subscription_iam_member.consumer : "${grant.subscription} ${grant.role}"]) == toset(["published roles/pubsub.subscriber", "callbacks roles/pubsub.subscriber"])
      && [for grant in google_pubsub_subscription_iam_member.operator : "${grant.subscription} ${grant.role} ${grant.member}"] == ["dead-letter roles/pubsub.subscriber group:audio@example.com"]
    )
    error_message = "Producers publish to ingest, consumers read published and callbacks, operators read dead letters: nothing else."
  }
}
