"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """Something the user can mend: the message says what, where and what would be right.

    Stages and the command line print it as one line and exit with code 1. Every other exception
    is a bug of ours and keeps its traceback.
    """
