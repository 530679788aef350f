# sys.exit with a number: the number is the exit code, and nothing after it runs.
import sys

print("before")
sys.exit(7)
print("never")
