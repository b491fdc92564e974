# The chain's topics and subscriptions as the code has them, for the routes of this deployment.
locals {
  topology = jsondecode(file("${path.module}/topology.json"))

  route_names = var.routes[*].name
  # Topics of the default route carry no suffix.
  route_suffix = { for route in local.route_names : route => route == local.topology.defaultRoute ? "" : "-${route}" }

  routed_topics = [for topic in local.topology.topics : topic.name if topic.perRoute]

  topics = toset(flatten([
    for topic in local.topology.topics : topic.perRoute ? [for route in local.route_names : "${topic.name}${local.route_suffix[route]}"] : [topic.name]
  ]))

  # By name, which is also their topic's.
  subscriptions = merge([
    for spec in local.topology.subscriptions : {
      for suffix in spec.perRoute ? values(local.route_suffix) : [""] : "${spec.topic}${suffix}" => spec
    }
  ]...)
}
