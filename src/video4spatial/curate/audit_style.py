"""How the audit looks beyond what all pages share (``storage/page.py``)."""

STYLE = """
h3::first-letter { text-transform: uppercase; }
h3 small { font-weight: 400; font-size: .9em; margin-left: .3em; }
section > p { margin: 0 0 .8rem; color: var(--soft); }
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
.card p { margin: .45rem 0 0; font-size: .9rem; }
.card .id { font-size: .8rem; font-family: ui-monospace, monospace; }
.pictures { display: grid; gap: .4rem; }
.pictures.n3 { grid-template-columns: repeat(3, 1fr); }
blockquote { margin: .6rem 0 0; font-size: 1rem; line-height: 1.4; }
.missing { padding: 2rem 0; text-align: center; background: var(--track); border-radius: 4px; color: var(--soft); }
.plain { margin: 0; padding-left: 1.1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 400; color: var(--soft); white-space: nowrap; }
@media (max-width: 40rem) {
  .funnel li { grid-template-columns: 1fr auto 3.2rem; gap: .1rem .5rem; }
  .funnel .bar { grid-column: 1 / -1; grid-row: 2; height: .5rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
}"""
