#!/usr/bin/env bash
# Entrypoint of drivers and executors. The Spark operator passes `driver --properties-file FILE --class CLASS MAIN
# ARGUMENTS…` or `executor`. Any other command is executed unchanged.
set -euo pipefail

case "${1:-}" in
driver)
  shift
  # Python must be the main process: it receives the signals, and its exit code is the pod's. Python starts the JVM with
  # the properties file of the submission. Only the arguments after the main file belong to the application.
  properties=
  while (($#)); do
    case "$1" in
    --properties-file) properties=$2; shift 2 ;;
    --class | --deploy-mode | --conf) shift 2 ;;
    local://*) shift; break ;;
    *) shift ;;
    esac
  done
  export PYSPARK_SUBMIT_ARGS="--properties-file $properties --deploy-mode client --conf spark.driver.bindAddress=${SPARK_DRIVER_BIND_ADDRESS:?} pyspark-shell"
  exec tweet-sentiment "$@"
  ;;
executor)
  options=()
  while IFS= read -r option; do options+=("$option"); done < <(env | sort -t_ -k4 -n | sed -nE 's/^SPARK_JAVA_OPT_[0-9]+=(.*)$/\1/p')
  exec java "${options[@]}" -Xms"$SPARK_EXECUTOR_MEMORY" -Xmx"$SPARK_EXECUTOR_MEMORY" -cp "/opt/spark/conf:/opt/spark/jars/*" \
    org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
    --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
    --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
    --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
  ;;
*)
  exec "$@"
  ;;
esac
