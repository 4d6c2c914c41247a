from tests.api.test_remote_runner import *
import shutil
def test_x(remote, tmp_path):
    try:
        from tests.api import remote_rig as rr
        rr.DEADLINE=15
        test_a_try_whose_runner_is_killed_is_told_as_lost_by_the_next_one_and_runs_again.__wrapped__ if False else None
        remote.start_runner()
        run_id, pid = held(remote, tmp_path)
        key = remote.key_of("hold")
        wait_for(lambda: in_hand(remote.ops, key), "the lease")
        remote.kill_runner()
        (tmp_path / "pid").unlink()
        remote.start_runner()
        wait_for(lambda: not alive(pid), "the next runner to end what the dead one left")
        wait_for((tmp_path / "pid").exists, "the next try")
    except BaseException:
        print(remote.runner_says())
        import subprocess
        print(subprocess.run(["find",str(tmp_path),"-type","f","-not","-name","*.pyc"],capture_output=True,text=True).stdout[:4000])
        with remote.ops.db.reading() as c:
            for t in ("task_try","task_instance","inbox","process","try_log"):
                print(t, [tuple(r) for r in c.exec_driver_sql(f"select * from {t}")])
        print(remote.executor.works.keys(), remote.executor._reports)
        raise
