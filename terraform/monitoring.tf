# Dashboards and alerts. Metrics of the services are collected by Managed Prometheus (k8s/overlays/gke/metrics.yaml),
# those of Pub/Sub, Cloud Storage and GKE come by themselves; all are asked for in PromQL.
locals {
  alerts = { for alert in jsondecode(file("${path.module}/alerts.json")) : alert.id => alert }
}

resource "google_monitoring_dashboard" "this" {
  for_each = fileset("${path.module}/dashboards", "*.json")
  # Not templatefile: ${asset} is what the legends of the charts are made of.
  dashboard_json = replace(
    replace(
      replace(
        replace(
          file("${path.module}/dashboards/${each.value}"),
          "@namespace@", var.namespace
        ),
        "@cluster@", google_container_cluster.this.name
      ),
      "@scratch@", google_storage_bucket.scratch.name
    ),
    "@core_dollars@", tostring(var.core_dollars)
  )
  depends_on = [google_project_service.this]
}

# What to do about it is in the text: terraform/runbook.
resource "google_monitoring_alert_policy" "this" {
  for_each              = local.alerts
  display_name          = "Trackchain: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title
    condition_prometheus_query_language {
      query = replace(
        replace(each.value.query, "@scratch@", google_storage_bucket.scratch.name),
        "@scratch_bytes@", tostring(var.scratch_alert_gib * 1073741824)
      )
      duration            = "${each.value.minutes * 60}s"
      evaluation_interval = "60s"
      # What has never been scraped is not known yet.
      disable_metric_validation = true
    }
  }

  # An incident that is not closed by hand ends when the figure has been good for this long.
  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    content   = file("${path.module}/runbook/${each.key}.md")
    mime_type = "text/markdown"
  }
  depends_on = [google_project_service.this]
}
