"""What the DAGs share: what stands on the cluster, what to do about it, and the calls that do it."""
