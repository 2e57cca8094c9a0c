"""The cluster that runs the streams: its API, the pods' status and the drivers' progress endpoint.

This package knows nothing of holds, failures or plans: `reconcile` imports it, never the other way round.
"""
