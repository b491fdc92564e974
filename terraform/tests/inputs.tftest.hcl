# Inputs that cannot be meant are refused before anything is made, and settings come out as the services read them.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_data "google_storage_bucket" {
    defaults = { location = "US-EAST1" }
  }
}

variables {
  project = "example-project"
}

run "settings" {
  command = plan

  variables {
    routes = [
      { name = "cloud-urgent" },
      { name = "cloud", templates = ["gs://masters/{asset_guid}.wav"] },
    ]
    cors_origins = ["https://label.example"]
  }
  # Masters that are far away cause a warning, and nothing more.
  expect_failures = [check.masters_are_near]
  assert {
    condition = output.config == {
      TRACKCHAIN_PROJECT      = "example-project"
      TRACKCHAIN_ASSETS       = "gs://example-project-trackchain-assets/"
      TRACKCHAIN_SCRATCH      = "gs://example-project-trackchain-scratch/"
      TRACKCHAIN_UPLOADS      = "gs://example-project-trackchain-uploads/"
      TRACKCHAIN_ROUTES       = "{\"cloud-urgent\":{\"core_slowdown\":1,\"prefixes\":[],\"templates\":[]},\"cloud\":{\"core_slowdown\":1,\"prefixes\":[],\"templates\":[\"gs://masters/{asset_guid}.wav\"]}}"
      TRACKCHAIN_INGEST       = "http://ingest"
      TRACKCHAIN_CORS_ORIGINS = "[\"https://label.example\"]"
    }
    error_message = "The settings are others than the services read, or the default route is no longer the first."
  }
}

run "route_names" {
  command = plan
  variables {
    routes = [{ name = "Cloud" }]
  }
  expect_failures = [var.routes]
}

run "route_twice" {
  command = plan
  variables {
    routes = [{ name = "cloud" }, { name = "cloud" }]
  }
  expect_failures = [var.routes]
}

run "route_of_no_site" {
  command = plan
  variables {
    routes = [{ name = "onprem-a", site = "onprem-a" }]
  }
  expect_failures = [var.routes]
}

run "files_on_gke" {
  command = plan
  variables {
    routes = [{ name = "cloud", prefixes = ["file:///mnt/masters/"] }]
  }
  expect_failures = [var.routes]
}

run "bucket_by_placeholder" {
  command = plan
  variables {
    routes = [{ name = "cloud", templates = ["gs://{asset_guid}/master.wav"] }]
  }
  expect_failures = [var.routes]
}

# Each of them is refused, together: a run takes seconds.
run "what_cannot_be_meant" {
  command = plan
  variables {
    producers    = ["allUsers"]
    consumers    = ["allAuthenticatedUsers"]
    operators    = ["audio@example.com"]
    admin_cidrs  = ["0.0.0.0/0"]
    sites        = { onprem-a = { issuer = "https://issuer.example.com", jwks = "-----BEGIN PUBLIC KEY-----" } }
    region       = "europe-west1-b"
    database     = { version = "POSTGRES_14" }
    cors_origins = ["https://Label.example/"]
  }
  expect_failures = [
    var.cors_origins, var.producers, var.consumers, var.operators, var.admin_cidrs, var.sites, var.region, var.database,
  ]
}

run "a_zone_elsewhere" {
  command = plan
  variables {
    location = "us-east1-b"
  }
  expect_failures = [var.location]
}
