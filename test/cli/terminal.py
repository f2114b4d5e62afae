"""Runs a command on a terminal of its own and types an answer when it asks: PROMPT ANSWER COMMAND... Prints what the terminal showed."""
import os
import pty
import sys

prompt, answer, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown = b""
answered = False
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:  # the last process on it ended
        break
    if not piece:
        break
    shown += piece
    if not answered and prompt.encode() in shown:
        os.write(terminal, answer.encode() + b"\n")
        answered = True
os.write(1, shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
