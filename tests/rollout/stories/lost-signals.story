# Every job result is lost: the answers to questions are enough to go on.
before 1
wanted 1
old 0
kill_timeout 2s
17s tick
17.1s seen 1 ready
34.1s tick
34.2s seen 0 ready
46.2s tick
46.3s seen 1 dead
