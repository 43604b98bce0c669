# The same without a definition to go back to: there is nothing to do but say so.
before 4
wanted 4
old 0-3
restore no
0.4s failed 4
0.5s done 4
