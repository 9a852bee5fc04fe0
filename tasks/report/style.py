"""The look of the report: calm, light and dark, from a phone to a wide screen.

Text on every ground has a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), in both schemes.
"""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--bg:#f7f6f3;--card:#fff;--ink:#1c2227;--soft:#59636c;--rule:#e3e1dc;
--data:#2a6a9c;--thin:#2a6a9c;--stable:#8a4f9e;--tint:#2a6a9c;--pass:#1d7247;--fail:#b02e26;
--open:#855800;--passbg:#e3f1e8;--failbg:#fae6e3;--openbg:#f8eed6;--rail:#ebe9e4;--code:#f1efea}
@media(prefers-color-scheme:dark){:root{--bg:#121518;--card:#1a1e22;--ink:#e6e8ea;--soft:#a3acb4;
--rule:#2d3338;--data:#7fbbe8;--thin:#7fbbe8;--stable:#cf9fe0;--tint:#7fbbe8;--pass:#74cb9b;
--fail:#f2938a;--open:#e3b464;--passbg:#1b3527;--failbg:#42211f;--openbg:#3a2e15;--rail:#2a3036;
--code:#23282d}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Noto Sans","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;
overflow-wrap:anywhere}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:40px}
h1{font-size:clamp(1.35rem,1rem + 1.6vw,2rem);line-height:1.25;font-weight:650;margin:.55em 0 .4em;
letter-spacing:-.01em;text-wrap:balance}
h1.long{font-size:clamp(1.1rem,.9rem + .8vw,1.35rem);text-wrap:pretty}
h2{font-size:1.2rem;font-weight:650;margin:0 0 .35em;letter-spacing:-.005em}
h3{font-size:.95rem;font-weight:600;margin:1.6em 0 .5em}
p{margin:.4em 0}a{color:var(--data)}
small{font-size:.82em;color:var(--soft);font-weight:400}
.soft,.lead,.note{color:var(--soft)}
.lead{max-width:72ch;margin:0 0 1.2em;font-size:.95rem}
.note{font-size:.85rem}
section{background:var(--card);border:1px solid var(--rule);border-radius:14px;padding:24px 28px;
margin:20px 0}
.verdict{display:inline-flex;gap:.5em;align-items:center;font-weight:650;border-radius:99px;
padding:.28em 1em;font-size:1rem}
.good{color:var(--pass);background:var(--passbg)}.bad{color:var(--fail);background:var(--failbg)}
.open{color:var(--open);background:var(--openbg)}
.warn{border-left:4px solid var(--fail);padding:.5em 1em;background:var(--failbg);border-radius:6px}
.mark{white-space:nowrap;font-weight:600;font-size:.86rem;border-radius:99px;padding:.16em .7em}
.mark.pass{color:var(--pass);background:var(--passbg)}
.mark.fail{color:var(--fail);background:var(--failbg)}
.mark.inconclusive{color:var(--open);background:var(--openbg)}
dl{margin:0}dd{margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;
margin:24px 0 8px}
.tiles div{background:var(--card);border:1px solid var(--rule);border-radius:12px;
padding:12px 16px;display:flex;flex-direction:column}
.tiles .more{order:3;font-size:.82rem;font-weight:400;color:var(--soft);line-height:1.35;
margin-top:.2em}
.tiles dt{order:2;color:var(--soft);font-size:.82rem}
.tiles dd{font-size:1.28rem;font-weight:620;line-height:1.3;font-variant-numeric:tabular-nums}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));
gap:14px 28px}
.facts+table{margin-top:20px}
.facts dt{color:var(--soft);font-size:.82rem}
code,pre{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{background:var(--code);border-radius:10px;padding:14px 16px;white-space:pre-wrap;margin:.8em 0;
overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse;font-size:.93rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{text-align:left;padding:9px 14px 9px 0;border-bottom:1px solid var(--rule);
vertical-align:middle;font-weight:400}
thead th{color:var(--soft);font-size:.82rem;padding-top:0;white-space:nowrap;vertical-align:bottom}
tbody th{font-weight:600}
tbody tr:last-child>*{border-bottom:0}
.num{white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums;padding-right:22px}
td:last-child,thead th:last-child{padding-right:0}
#nodes~table :is(th,td:not(:last-child)){overflow-wrap:break-word}
td .bar{min-width:200px}.bar small{display:block;text-align:center;line-height:1.2}
#steps~table td:nth-child(2){width:34%}#steps~table th{white-space:nowrap}
.said{white-space:pre-wrap}
ul{margin:.8em 0 .2em;padding-left:1.2em}li{margin:.25em 0}
details{margin-top:1em}summary{cursor:pointer;color:var(--data);font-weight:600;padding:.3em 0}
summary:focus-visible,a:focus-visible{outline:2px solid var(--data);outline-offset:3px}
details table{font-size:.84rem;margin-top:.6em}
details thead th{white-space:normal}details .num{padding-right:12px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:26px 30px}
.grid>div>h3:first-child{margin-top:.4em}
.of{display:block;white-space:normal;min-width:0}
.far{font-size:11.5px;font-weight:600;fill:var(--ink);paint-order:stroke;stroke:var(--card);
stroke-width:4px}
.languages{float:right;font-size:.9rem;padding:.28em 0}
.plot{margin:0;min-width:0}
figcaption{font-weight:600;font-size:.93rem;margin-bottom:.3em}
.pad{padding-left:50px;padding-right:30px}
.plot svg,.interval,.strip{display:block;overflow:visible}
.xname,.yname{font-size:.8rem;color:var(--soft);margin:0;line-height:1.3}
.xname{text-align:center;padding-left:20px}
.plot .note{font-size:.82rem;margin:.3em 0 0;text-align:center;padding-left:20px}
.tick{font-size:11.5px;fill:var(--soft);font-variant-numeric:tabular-nums}
.goal,.name{font-size:12px;font-weight:600;fill:var(--soft);paint-order:stroke;
stroke:var(--card);stroke-width:3px}
.mid,.middle{text-anchor:middle}.right,.end{text-anchor:end}
.goal.pass{fill:var(--pass)}.goal.fail{fill:var(--fail)}.goal.inconclusive{fill:var(--open)}
.grid-line,line.grid{stroke:var(--rule);stroke-width:1}
.base{stroke:var(--soft);stroke-width:1;opacity:.6}
path,line{vector-effect:non-scaling-stroke}
.line{fill:none;stroke:var(--data);stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
.line.thin{stroke:var(--thin);stroke-width:1;opacity:.32}
.line.soft{opacity:.55;stroke-width:2}
.line.stable{stroke:var(--stable);stroke-width:1.8}
.limit{stroke:var(--soft);stroke-width:1.6;stroke-dasharray:4 3}
.limit.pass{stroke:var(--pass)}.limit.fail{stroke:var(--fail)}.limit.inconclusive{stroke:var(--open)}
.bound,.cap{stroke:var(--soft);stroke-width:3.5;stroke-linecap:round;fill:none}.cap{stroke-width:2}
.bound.pass,.cap.pass{stroke:var(--pass)}.bound.fail,.cap.fail{stroke:var(--fail)}
.bound.inconclusive,.cap.inconclusive{stroke:var(--open)}
.dot{fill:var(--data);stroke:var(--card);stroke-width:1.5}
.dot.pass{fill:var(--pass)}.dot.fail{fill:var(--fail)}.dot.inconclusive{fill:var(--open)}
.range.pass{stroke:var(--pass)}.range.fail{stroke:var(--fail)}.range.inconclusive{stroke:var(--open)}
.dot.small{fill-opacity:.5;stroke:none;r:3.2px}
.dot.doubt{fill:var(--card);fill-opacity:1;stroke:var(--open);stroke-width:1.8}
.range{stroke:var(--data);stroke-width:5;stroke-linecap:round;opacity:.28}
.range.doubt{stroke:var(--open)}
.band{opacity:.13}.band.pass{fill:var(--pass)}.band.fail{fill:var(--fail)}
.band.inconclusive{fill:var(--open)}
.steady{fill:var(--tint);opacity:.1}
.rail{fill:var(--rail)}.allowed{fill:var(--passbg)}
.stop{stroke:var(--ink);stroke-width:2;fill:none}.over{overflow:visible}
.step.done{fill:var(--data)}.step.failed{fill:var(--fail)}
.key{white-space:nowrap;margin-right:1.1em}
.key::before{content:"";display:inline-block;width:22px;margin-right:6px;vertical-align:middle;
border-top:2.4px solid var(--data)}
.key.thin::before{border-top-width:1px;opacity:.55}
.key.stable::before{border-top:2px solid var(--stable)}
.key.dash::before{border-top:2px dashed var(--soft)}
.keys{display:block;margin-top:.45em;color:var(--ink);font-size:.87rem}
footer{color:var(--soft);font-size:.85rem;padding-bottom:48px}
#trend~table{margin-top:20px}#trend~table thead th{white-space:normal}
@media(min-width:761px){:is(#nodes,#trend)~table tbody th,#trend~table td:nth-child(2){
white-space:nowrap}#trend~table :is(th,td){padding-right:14px}}
@media(max-width:760px){
main,header,footer{padding-left:14px;padding-right:14px}header{padding-top:24px}
section{padding:18px 16px;border-radius:12px;margin:14px 0}
.tiles{grid-template-columns:repeat(2,minmax(0,1fr))}
table,tbody,tr,td,tbody th{display:block;width:auto}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody tr{border:1px solid var(--rule);border-radius:10px;padding:10px 12px;margin-bottom:10px}
tbody th{border:0;padding:0 0 4px;font-size:1rem}
td,.num{border:0;padding:3px 0;display:flex;gap:12px;text-align:left}
td::before{content:attr(data-label);color:var(--soft);font-size:.82rem;flex:0 0 92px;
padding-top:.12em}
.tiles dd:not(.more){font-size:1.12rem}
.tiles div:last-child:nth-child(odd){grid-column:1/-1}
td>div{flex:1;min-width:0}
#targets~table tbody tr{display:grid;grid-template-columns:repeat(3,minmax(0,auto));gap:4px 14px;
justify-content:space-between}
#targets~table tbody th{grid-column:1/3}
#targets~table td{display:block;padding:0}
#targets~table td::before{display:block;padding:0}
#targets~table .num{white-space:normal}
#targets~table td:last-child{order:-1;justify-self:end}
#targets~table tbody th{order:-2}
#targets~table td:nth-child(5){grid-column:1/-1}
#targets~table td:nth-child(5)::before,#targets~table td:last-child::before{display:none}
td .bar{min-width:0}
#steps~table td:nth-child(2){width:auto}
.pad{padding-left:44px;padding-right:26px}
}
@media print{body{background:#fff}section{break-inside:avoid}}
"""
