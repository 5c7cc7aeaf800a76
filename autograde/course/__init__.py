"""The course as nbgrader sees it: its folders, its gradebook, and where autograde plugs in."""
