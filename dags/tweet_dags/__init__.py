"""The code behind the DAGs: the reconciler of the streams (`reconcile`), the calls to the cluster (`kubernetes`), and
the tasks of the other DAGs.
"""
