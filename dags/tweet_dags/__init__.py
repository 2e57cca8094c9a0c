"""The code behind the DAGs: a reconciler of the streams (`reconcile`), the calls to the cluster (`kubernetes`), and
the tasks of the other DAGs.
"""
