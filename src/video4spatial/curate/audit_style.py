"""How the audit's page looks."""

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #23242a; --soft: #696b76; --line: #dedcd5; --card: #fff;
  --bar: #3d6fb6; --faint: #a9b9d3; --track: #ecebe6; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181c; --ink: #e6e5e1; --soft: #9c9daa; --line: #33353d;
  --card: #1f2127; --bar: #7ba6e6; --faint: #4b5f80; --track: #2a2c33; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
h3::first-letter { text-transform: uppercase; }
small, .lead, .id, figcaption, footer { color: var(--soft); }
h3 small { font-weight: 400; font-size: .9em; margin-left: .3em; }
.lead { margin: .3rem 0 1.1rem; }
section { margin-top: 2.4rem; }
section > p { margin: 0 0 .8rem; color: var(--soft); }
.note { border-left: 3px solid #d08a00; padding-left: .8rem; margin: 1rem 0 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.tiles b { display: block; font-size: 1.35rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .85rem; }
.funnel { list-style: none; margin: 0; padding: 0; font-variant-numeric: tabular-nums; }
.funnel li { display: grid; grid-template-columns: minmax(9.5rem, 15rem) 1fr 4.5rem 3rem; gap: .7rem;
  align-items: center; padding: .16rem 0; }
.funnel .part { color: var(--soft); font-size: .92rem; }
.funnel .part span:first-child { padding-left: 1.1rem; }
.funnel .step span:first-child { font-weight: 600; }
.funnel b, .funnel em { text-align: right; font-style: normal; font-weight: 400; }
.funnel em { color: var(--soft); }
.bar { display: block; height: .75rem; background: var(--track); border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--bar); }
.part .bar i { background: var(--faint); }
.histogram { display: block; max-width: 46rem; }
.histogram text { fill: var(--ink); font-size: 13.5px; }
.histogram .n { fill: var(--soft); }
.histogram rect { fill: var(--bar); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 33rem), 1fr)); gap: 1rem; }
.cards.few { grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem; }
.card p { margin: .45rem 0 0; font-size: .9rem; }
.card .id { font-size: .8rem; font-family: ui-monospace, monospace; }
.pictures { display: grid; gap: .4rem; }
.pictures.n3 { grid-template-columns: repeat(3, 1fr); }
figure { margin: 0; }
img { display: block; width: 100%; border-radius: 4px; background: var(--track); }
figcaption { font-size: .78rem; margin-top: .15rem; }
blockquote { margin: .6rem 0 0; font-size: 1rem; line-height: 1.4; }
.missing { padding: 2rem 0; text-align: center; background: var(--track); border-radius: 4px; color: var(--soft); }
.plain { margin: 0; padding-left: 1.1rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 400; color: var(--soft); white-space: nowrap; }
footer { margin-top: 2.5rem; font-size: .85rem; }
@media (max-width: 40rem) {
  main { padding: 1rem .9rem 2rem; }
  .funnel li { grid-template-columns: 1fr auto 3.2rem; gap: .1rem .5rem; }
  .funnel .bar { grid-column: 1 / -1; grid-row: 2; height: .5rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
}
"""
