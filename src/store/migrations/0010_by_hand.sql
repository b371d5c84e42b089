-- Numbers that agents call by hand are found again by the number.
CREATE INDEX leads_by_hand ON leads (numbers) WHERE list = 'by_hand';
