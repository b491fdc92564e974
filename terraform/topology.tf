# The chain's topics and subscriptions as the code has them, for the routes of this deployment.
locals {
  topology = jsondecode(file("${path.module}/topology.json"))

  route_names = var.routes[*].name
  # Topics of the default route carry no suffix, and neither do those of the lane "new".
  route_suffix = { for route in local.route_names : route => route == local.topology.defaultRoute ? "" : "-${route}" }

  # The routes' suffixes that a topic's name takes, and those of the lanes.
  suffixes = { for topic in local.topology.topics : topic.name => {
    routes = topic.perRoute ? local.route_suffix : { for route in local.route_names : route => "" }
    lanes  = topic.perLane ? local.topology.laneSuffixes : [""]
  } }

  topics = toset(flatten([
    for name, suffixes in local.suffixes : [for pair in setproduct(values(suffixes.routes), suffixes.lanes) : "${name}${pair[0]}${pair[1]}"]
  ]))

  # By name, which is also their topic's.
  subscriptions = merge([
    for spec in local.topology.subscriptions : {
      for pair in setproduct(distinct(values(local.suffixes[spec.topic].routes)), local.suffixes[spec.topic].lanes) : "${spec.topic}${pair[0]}${pair[1]}" => spec
    }
  ]...)
}
