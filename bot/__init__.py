"""On-call for AI agents. Each folder is one stage of the data's way:

    metrics → promql → rules ══alerts══► incidents → oncall → runbooks → paging → slack

`pipeline.py` is the same way as code; `ports.py` lists what it asks of the world. Folders named after an idea are
pure; folders named after something outside (metrics, slack, channels, store, web, demo) do the input and output.
"""
