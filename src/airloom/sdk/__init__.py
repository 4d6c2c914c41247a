"""What DAG authors use: dags, tasks, operators, groups, mapping, XComs, params, templates; and their spec."""
