"""The style sheet of the page. Colours are those of Okabe and Ito, which colour-blind people can
tell apart; no meaning hangs on colour alone."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--dim:#57606a;--line:#d0d7de;--soft:#f4f6f8;
--blue:#0065a3;--sky:#56b4e9;--orange:#e69f00;--red:#c23b00;--purple:#a3467c;--green:#00795a;
--yellow:#f0e442;--grey:#8c959f;--on:#fff;--redsoft:#fdece4;--bluesoft:#e6f1f9}
@media (prefers-color-scheme:dark){:root{--bg:#12161c;--fg:#e6edf3;--dim:#9aa5b1;--line:#38414c;
--soft:#1b212a;--blue:#58a6e0;--sky:#7cc7f2;--orange:#f0b429;--red:#ff7b45;--purple:#d58ab4;
--green:#35b98f;--yellow:#f5ec7a;--grey:#7d8894;--on:#12161c;--redsoft:#3a1d12;
--bluesoft:#14293a}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1rem}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,"DejaVu Sans",sans-serif}
header,main,footer{max-width:66rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.3rem;margin:1rem 0 .3rem}h2{font-size:1.35rem;margin:0 0 .2rem}
h2 a{color:inherit;text-decoration:none}h2 a:hover{text-decoration:underline}
h3{font-size:1.08rem;margin:.2rem 0}h4{margin:1rem 0 .2rem}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.15rem .9rem;padding:0;margin:.3rem 0;
font-size:.88rem}
a{color:var(--blue)}
:focus-visible{outline:3px solid var(--orange);outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--bg);
padding:.5rem}
section{border-top:1px solid var(--line);padding:1.1rem 0 1rem}
.question{margin:0 0 .6rem;color:var(--dim);font-style:italic}
.dim{color:var(--dim)}.bad{color:var(--red)}
.verdict{border:2px solid;border-left-width:.7rem;border-radius:.4rem;padding:.5rem 1rem;
margin:.3rem 0
1rem}.verdict p{margin:.1rem 0}.verdict .word{font-size:1.7rem;font-weight:700}
.verdict.good{border-color:var(--blue);background:var(--bluesoft)}
.verdict.bad{border-color:var(--red);background:var(--redsoft);color:var(--fg)}
.verdict.unsure{border-color:var(--orange);background:var(--soft)}
.lead{font-size:1.08rem}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.88rem;margin:.4rem 0}
caption{text-align:left;color:var(--dim);padding:.2rem 0}
th,td{border:1px solid var(--line);padding:.22rem .5rem;text-align:left;vertical-align:top}
thead th{background:var(--soft)}
code,pre{font:.86em/1.45 ui-monospace,"DejaVu Sans Mono",monospace}
pre{background:var(--soft);padding:.7rem;overflow-x:auto;border-radius:.3rem}
p code{background:var(--soft);padding:.1rem .3rem;border-radius:.2rem;overflow-wrap:anywhere}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--blue)}
.finding{border:1px solid var(--line);border-left:.45rem solid var(--red);border-radius:.4rem;
padding:.6rem 1rem;margin:1rem 0}.finding.resolved{border-left-color:var(--blue)}
.finding.ongoing,.finding.rare{border-left-color:var(--orange)}
.kind{font-size:.75rem;text-transform:uppercase;letter-spacing:.05em;border:1px solid;
border-radius:.2rem;padding:.05rem .35rem;vertical-align:.1em}
.tag{display:inline-block;background:var(--soft);border:1px solid var(--line);border-radius:.7rem;
padding:0 .5rem;margin:.1rem;font-size:.85rem}
.remedy{border-left:.3rem solid var(--blue);background:var(--bluesoft);padding:.4rem .8rem;
margin:.6rem 0}
.remedy ul{margin:.2rem 0;padding-left:1.2rem}
.nodata{border:1px dashed var(--grey);border-radius:.4rem;padding:.5rem .8rem;color:var(--dim)}
.lanes{min-width:44rem;width:100%}.lanes td:nth-child(3){
font-family:ui-monospace,"DejaVu Sans Mono",
monospace;font-size:.82rem}
.lanes .late td{color:var(--dim);opacity:.75}.lanes .gap td{text-align:center;color:var(--dim);
background:var(--soft)}
.lanes .crash td{background:var(--red);color:var(--on);font-weight:700;border-color:var(--red)}
.lanes .found td{background:var(--redsoft);font-weight:600;border-left:.4rem solid var(--red)}
.lanes .ack td{background:var(--bluesoft);font-weight:600;border-left:.4rem solid var(--blue)}
.lanes .promise td{background:var(--bluesoft);border-left:.4rem double var(--blue)}
.sector{vertical-align:-.2em;margin-right:1px}
.s-full{fill:var(--blue);stroke:var(--blue)}.s-empty{fill:none;stroke:var(--red);stroke-width:1.6}
.s-cross{stroke:var(--red);stroke-width:1.8;fill:none}.s-bar{stroke:var(--blue);stroke-width:2.2}
.s-later{fill:none;stroke:var(--grey);stroke-dasharray:2 2}
.key-line{font-size:.84rem;color:var(--dim)}
figure{margin:.6rem 0}figcaption{font-size:.86rem;color:var(--dim);max-width:46rem}
svg{display:block;width:100%;height:auto;font-family:system-ui,"DejaVu Sans",sans-serif}
svg.sector{display:inline;width:16px;height:18px}
.grid{stroke:var(--line)}.axis{stroke:var(--dim)}.label{fill:var(--fg);font-size:12px}
.tick{fill:var(--dim);font-size:11px}.on{fill:var(--on);font-size:10px}
.line{fill:none;stroke-width:2}.fit{stroke:var(--dim);stroke-dasharray:5 4}
.line.c0{stroke:var(--blue)}.line.c1{stroke:var(--orange)}.line.c2{stroke:var(--green)}
.line.c3{stroke:var(--purple)}.line.c4{stroke:var(--red)}.line.c5{stroke:var(--grey)}
.dot,.bar{fill-opacity:.85}
.c0{fill:var(--blue);color:var(--blue)}.c1{fill:var(--orange);color:var(--orange)}
.c2{fill:var(--green);color:var(--green)}.c3{fill:var(--purple);color:var(--purple)}
.c4{fill:var(--red);color:var(--red)}.c5{fill:var(--grey);color:var(--grey)}
.line.c0,.line.c1,.line.c2,.line.c3,.line.c4,.line.c5{fill:none}
.mark{font-size:11px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1rem;padding:0;margin:.3rem 0;
font-size:.86rem}
span.key{display:inline-block;min-width:1.3em;text-align:center;border-radius:.2rem;
padding:0 .15rem}
.o-kept{fill:var(--blue);background:var(--blue)}.o-window{fill:var(--sky);background:var(--sky)}
.o-refused{fill:var(--yellow);background:var(--yellow)}
.o-false-failure{fill:var(--green);background:var(--green)}
.o-lost{fill:var(--red);background:var(--red)}.o-wrong{fill:var(--purple);
background:var(--purple)}
.o-no-open{fill:#7a1c00;background:#7a1c00}.o-stuck{fill:var(--orange);background:var(--orange)}
.o-untested{fill:var(--soft);background:var(--soft);border:1px dashed var(--grey)}
span.key[class*=o-]{color:var(--on)}span.key.o-untested{color:var(--dim)}
span.key.o-refused,span.key.o-window{color:#1c2128}span.key.o-no-open{color:#fff}
.matrix td{min-width:5.2rem;text-align:left;white-space:nowrap}
.matrix th small{font-weight:400;display:block;max-width:11rem}
.matrix td,.matrix th{padding:.2rem .4rem}
.matrix td .g{font-size:1.15rem;font-weight:700;
margin-right:.25rem}.matrix small{display:block;color:var(--dim)}
.matrix .v-kept,.matrix .v-false-failure{background:var(--bluesoft)}
.matrix .v-window{
background:repeating-linear-gradient(45deg,var(--bluesoft) 0 6px,transparent 6px 12px)}
.matrix .v-refused{background:var(--soft)}
.matrix .v-lost,.matrix .v-wrong,.matrix .v-no-open,.matrix .v-stuck{background:var(--redsoft);
outline:2px solid var(--red);outline-offset:-2px}
.matrix .v-untested{color:var(--dim);border-style:dashed}
footer{color:var(--dim);font-size:.85rem;padding-bottom:2rem}
@media (max-width:40rem){body{font-size:15px}.finding{padding:.5rem .6rem}}
@media print{nav,.skip{display:none}body{font-size:11px}.scroll{overflow:visible}}
"""
