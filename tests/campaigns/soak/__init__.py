"""Searches a collection from many threads and processes while it is being written to, and judges every answer.

    python -m tests.campaigns.soak --seconds 60

One thread adds, changes, removes, annotates, maintains and builds, without a pause. It writes a history: what each of
its commits is about to change, and when that has been acknowledged. Eight threads of the same process, which share its
collection, and four other processes search; with --http, 64 clients of a service that is a process of its own. Each
answer has to be right for one of the states that the history has between the beginning and the end of the search.
"""
