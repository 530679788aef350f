use codeact::{Sandbox, sandbox::Turn};
use std::time::Instant;
fn main() {
    let rt = tokio::runtime::Runtime::new().unwrap();
    let sb = rt.block_on(Sandbox::new()).unwrap();
    for code in ["1", "print(1+1)", "import pandas; print(1+1)", "import matplotlib.pyplot; print(1+1)"] {
        let mut v = vec![];
        let mut fuel = 0;
        for _ in 0..300 { let t = Instant::now(); let e = sb.run_blocking(Turn::new(code)).unwrap(); v.push(t.elapsed().as_secs_f64()*1e3); fuel = e.usage.fuel; }
        v.sort_by(f64::total_cmp);
        println!("{code:40} p10 {:.3} p50 {:.3} p95 {:.3} fuel {fuel}", v[30], v[150], v[285]);
    }
    let mut s = sb.session().unwrap();
    for code in ["1", "1", "x=2", "print(1)", "import _codeact; _codeact.seeds.reseed()", "import _codeact; print(len(_codeact.seeds._generators), len(_codeact.seeds._numpy_legacy))", "import random; random.seed(1<<255)", "import numpy; numpy.random.seed([1,2,3,4,5,6,7,8])", "import atexit; print(atexit._ncallbacks()); atexit._run_exitfuncs()", "import ast; ast.parse('1')", "import json; json.loads('{}')"] {
        let e = rt.block_on(s.run(code)).unwrap();
        println!("{code:40} fuel {} {:?} {}", e.usage.fuel, e.usage.wall, e.stdout.text.trim());
    }
}
