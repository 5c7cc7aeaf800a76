"""Learners' code runs in here, and nowhere else.

view → forkserver → keeper → confine, seccomp → kernel: bubblewrap builds the view that one fork server lives in; each
submission gets a fork of it, the keeper, whose own fork shuts itself in and becomes the kernel. To Jupyter this is a
kernel provisioner.
"""
