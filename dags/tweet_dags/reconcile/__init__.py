"""A reconciler for the streams: compare the observed state with the desired state, plan one action, execute it.

- `observed`: what the cluster holds for a stream, and what its driver answers.
- The desired state is the manifest that the chart has rendered; a `Hold` on the stream suspends it.
- `plan` maps both to one `Action`, without calls, clock or Airflow; `operator_states` does so for each state that the
  Spark operator reports, `failures` counts failures, and `spec_drift` compares specs.
- `execute` executes the action.
- `annotations` and `config_map` store holds and the reconcile state on the cluster, so Airflow may lose its database.
- `watch` observes a stream every few seconds and decides when something must be done; `trigger` does so in Airflow's
  triggerer. `tasks` reconciles a stream in a worker process, and `operator` is the Airflow operator of both.
"""
