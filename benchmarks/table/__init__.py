"""The table of figures, beside a peer and the floor: one command that anybody can repeat.

    python -m benchmarks.table [--only latency,barge-in,density,memory,admission] [--quick] [--out FOLDER]

Servers stand on one core, clients and scripted providers on another. What is compared takes turns (A B A B …). A run
in which strangers took more than a tenth of a core, or the clients themselves were late, is void: it is said so, kept
among the raw files, and run again, three times at most. Nothing here fails because a machine is slow.
"""
