#!/usr/bin/env bash
# Applies an overlay without a moment in which a job is accepted that a service down the chain does not understand: who
# takes over last is upgraded first (docs/tasks/upgrade.md). The first time it installs.
#   k8s/upgrade.sh OVERLAY [SERVICE…]     e.g. k8s/upgrade.sh k8s/overlays/gke publish encode
set -euo pipefail
overlay=${1:?usage: k8s/upgrade.sh OVERLAY [SERVICE…]}
shift
order=(publish encode analyze stage dispatch ingest)
[ $# -gt 0 ] || set -- "${order[@]}"
objects=$(kubectl kustomize "$overlay")

# Settings, accounts and policies belong to no one service. Settings have a new name when they are others.
kubectl apply --selector='!app.kubernetes.io/name' --filename=- <<<"$objects"
for service in "${order[@]}"; do
  [[ " $* " == *" $service "* ]] || continue
  # A cluster that joins runs three of them, and few the dispatcher.
  if ! grep --quiet --line-regexp "  name: $service" <<<"$objects"; then
    # `apply` removes nothing: where the dispatcher has been switched off, it would pull on beside stage.
    [ "$service" != dispatch ] ||
      kubectl delete deployment/dispatch --namespace=trackchain --ignore-not-found
    continue
  fi
  kubectl apply --selector="app.kubernetes.io/name=$service" --filename=- <<<"$objects"
  kubectl rollout status "deployment/$service" --namespace=trackchain --timeout=15m
done
# What is left: upkeep, headroom, the adapter.
kubectl apply --selector='app.kubernetes.io/name notin (publish,encode,analyze,stage,dispatch,ingest)' --filename=- <<<"$objects"
