# sys.exit without an argument: exit code 0.
import sys

print("done")
sys.exit()
