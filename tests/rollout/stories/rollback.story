# The canary was fine, the third instance is not: back to the old definition, with never fewer than three that serve.
before 3
wanted 3
old 0-2
0.5s done 3
1.0s done 0
1.5s failed 1
1.7s restored
2.2s done 1
2.7s done 0
2.9s done 3
