"""Jobs that rewrite the tables of a stream while the stream is stopped.

- `definitions`: the jobs, and the arguments that a person may pass to them.
- `steps`: what the tasks do on the cluster.
- `dag`: the tasks and settings that the DAGs of the jobs share.
"""
