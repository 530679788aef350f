# sys.exit with a text: the text is written to stderr, and the exit code is 1.
import sys

print("to stdout")
sys.exit("to stderr")
