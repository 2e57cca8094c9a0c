#!/usr/bin/env bash
# Entrypoint of drivers and executors. The Spark operator passes `driver --properties-file FILE --class CLASS MAIN
# ARGUMENTS…` or `executor`. Any other command is executed unchanged.
set -euo pipefail

# wait_for_driver HOST PORT: wait until the driver accepts connections, for a minute at most. A network plugin may admit the
# connections of a new pod some seconds after its start. An executor that cannot connect ends at once, and after a few of
# them the driver ends, too.
wait_for_driver() {
  local end=$((SECONDS + 60))
  until timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null || ((SECONDS >= end)); do sleep 0.5; done
}

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
  driver=${SPARK_DRIVER_URL##*@}
  wait_for_driver "${driver%:*}" "${driver##*:}"
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
