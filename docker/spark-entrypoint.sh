#!/usr/bin/env bash
# What the Spark operator starts: `driver --properties-file FILE --class CLASS MAIN ARGUMENTS…`, or `executor`.
# Anything else is run as it is.
set -euo pipefail

case "${1:-}" in
driver)
  shift
  # Python is the process that signals reach, and its exit code is that of the pod. It starts the JVM itself, by the
  # properties that the operator's submission has written; of the rest only the arguments after the main file count.
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
